"""Pools of Python for bench_fastpath (see bench/peer.h): pools.py sqlalchemy | psycopg_pool

Their connections are objects that do nothing, so what is measured is the pools' own work.
"""

import sys
import threading
import time


class Sqlalchemy:
    def __init__(self):
        import sqlalchemy
        from sqlalchemy.pool import QueuePool
        self.version = sqlalchemy.__version__
        self.queue_pool = QueuePool

    def turn(self, connections):
        class Connection:
            def rollback(self):
                pass

            def commit(self):
                pass

            def close(self):
                pass

        pool = self.queue_pool(Connection, pool_size=connections, max_overflow=0)
        return lambda: pool.connect().close()


class PsycopgPool:
    def __init__(self):
        import psycopg
        import psycopg_pool
        self.version = psycopg_pool.__version__
        self.psycopg = psycopg
        self.pool_class = psycopg_pool.ConnectionPool

    def turn(self, connections):
        idle = self.psycopg.pq.TransactionStatus.IDLE

        class Session:
            transaction_status = idle

        class Connection:
            closed = False
            pgconn = Session()

            @classmethod
            def connect(cls, *_, **__):
                return cls()

            def close(self):
                pass

        pool = self.pool_class("", connection_class=Connection, min_size=connections,
                               max_size=connections, open=True)
        pool.wait()

        def turn():
            pool.putconn(pool.getconn())

        return turn


def measure(turn, threads, seconds):
    counts = [0] * threads
    begin = threading.Barrier(threads + 1)
    stop = False

    def work(index):
        count = 0
        begin.wait()
        while not stop:
            turn()
            count += 1
        counts[index] = count

    crowd = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for thread in crowd:
        thread.start()
    begin.wait()
    began = time.monotonic_ns()
    time.sleep(seconds)
    stop = True
    took = time.monotonic_ns() - began
    for thread in crowd:
        thread.join()
    return sum(counts), min(counts), max(counts), took


def main():
    try:
        peer = {"sqlalchemy": Sqlalchemy, "psycopg_pool": PsycopgPool}[sys.argv[1]]()
    except ImportError as error:
        print("missing", error, flush=True)
        return
    print("ready", peer.version, flush=True)
    turns = {}
    for line in sys.stdin:
        threads, connections, milliseconds = map(int, line.split())
        if connections not in turns:
            turns[connections] = peer.turn(connections)
        print(*measure(turns[connections], threads, milliseconds / 1e3), flush=True)


main()
