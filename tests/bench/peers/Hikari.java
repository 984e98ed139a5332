import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.sql.*;
import java.util.*;
import java.util.concurrent.*;
import javax.sql.DataSource;

/**
 * HikariCP for bench_fastpath (see bench/peer.h). Its connections do nothing, so what is measured is
 * the pool's own work.
 */
public class Hikari {
  static volatile boolean stop;

  public static void main(String[] arguments) throws Exception {
    Map<Integer, HikariDataSource> pools = new HashMap<>();
    pool(pools, 1);
    Properties about = new Properties();
    about.load(HikariDataSource.class.getResourceAsStream("/META-INF/maven/com.zaxxer/HikariCP/pom.properties"));
    System.out.println("ready " + about.getProperty("version"));
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split(" ");
      long[] turns = measure(pool(pools, Integer.parseInt(words[1])), Integer.parseInt(words[0]),
          Long.parseLong(words[2]));
      System.out.println(turns[0] + " " + turns[1] + " " + turns[2] + " " + turns[3]);
    }
    System.exit(0);
  }

  static HikariDataSource pool(Map<Integer, HikariDataSource> pools, int connections) {
    return pools.computeIfAbsent(connections, size -> {
      HikariConfig config = new HikariConfig();
      config.setDataSource(new Source());
      config.setMaximumPoolSize(size);
      return new HikariDataSource(config);
    });
  }

  static long[] measure(HikariDataSource pool, int threads, long milliseconds) throws Exception {
    stop = false;
    CyclicBarrier begin = new CyclicBarrier(threads + 1);
    ExecutorService crowd = Executors.newFixedThreadPool(threads);
    List<Future<Long>> counts = new ArrayList<>();
    for (int t = 0; t < threads; ++t) {
      counts.add(crowd.submit(() -> {
        begin.await();
        long count = 0;
        for (; !stop; ++count) pool.getConnection().close();
        return count;
      }));
    }
    begin.await();
    long began = System.nanoTime();
    Thread.sleep(milliseconds);
    stop = true;
    long took = System.nanoTime() - began;
    long all = 0, fewest = Long.MAX_VALUE, most = 0;
    for (Future<Long> each : counts) {
      long count = each.get();
      all += count;
      fewest = Math.min(fewest, count);
      most = Math.max(most, count);
    }
    crowd.shutdown();
    return new long[] {all, fewest, most, took};
  }

  static class Source implements DataSource {
    public Connection getConnection() { return new Nothing(); }
    public Connection getConnection(String user, String password) { return new Nothing(); }
    public PrintWriter getLogWriter() { return null; }
    public void setLogWriter(PrintWriter out) {}
    public void setLoginTimeout(int seconds) {}
    public int getLoginTimeout() { return 0; }
    public java.util.logging.Logger getParentLogger() { return null; }
    public <T> T unwrap(Class<T> type) { return null; }
    public boolean isWrapperFor(Class<?> type) { return false; }
  }

  /** Written out, for a java.lang.reflect.Proxy would be measured along with the pool. */
  static class Nothing implements Connection {
    public Statement createStatement() { return null; }
    public PreparedStatement prepareStatement(String sql) { return null; }
    public CallableStatement prepareCall(String sql) { return null; }
    public String nativeSQL(String sql) { return sql; }
    public void setAutoCommit(boolean on) {}
    public boolean getAutoCommit() { return true; }
    public void commit() {}
    public void rollback() {}
    public void close() {}
    public boolean isClosed() { return false; }
    public DatabaseMetaData getMetaData() { return null; }
    public void setReadOnly(boolean on) {}
    public boolean isReadOnly() { return false; }
    public void setCatalog(String catalog) {}
    public String getCatalog() { return null; }
    public void setTransactionIsolation(int level) {}
    public int getTransactionIsolation() { return TRANSACTION_READ_COMMITTED; }
    public SQLWarning getWarnings() { return null; }
    public void clearWarnings() {}
    public Statement createStatement(int type, int concurrency) { return null; }
    public PreparedStatement prepareStatement(String sql, int type, int concurrency) { return null; }
    public CallableStatement prepareCall(String sql, int type, int concurrency) { return null; }
    public Map<String, Class<?>> getTypeMap() { return null; }
    public void setTypeMap(Map<String, Class<?>> map) {}
    public void setHoldability(int holdability) {}
    public int getHoldability() { return 0; }
    public Savepoint setSavepoint() { return null; }
    public Savepoint setSavepoint(String name) { return null; }
    public void rollback(Savepoint savepoint) {}
    public void releaseSavepoint(Savepoint savepoint) {}
    public Statement createStatement(int type, int concurrency, int holdability) { return null; }
    public PreparedStatement prepareStatement(String sql, int type, int concurrency, int hold) { return null; }
    public CallableStatement prepareCall(String sql, int type, int concurrency, int hold) { return null; }
    public PreparedStatement prepareStatement(String sql, int keys) { return null; }
    public PreparedStatement prepareStatement(String sql, int[] columns) { return null; }
    public PreparedStatement prepareStatement(String sql, String[] columns) { return null; }
    public Clob createClob() { return null; }
    public Blob createBlob() { return null; }
    public NClob createNClob() { return null; }
    public SQLXML createSQLXML() { return null; }
    public boolean isValid(int seconds) { return true; }
    public void setClientInfo(String name, String value) {}
    public void setClientInfo(Properties properties) {}
    public String getClientInfo(String name) { return null; }
    public Properties getClientInfo() { return null; }
    public Array createArrayOf(String type, Object[] elements) { return null; }
    public Struct createStruct(String type, Object[] attributes) { return null; }
    public void setSchema(String schema) {}
    public String getSchema() { return null; }
    public void abort(Executor executor) {}
    public void setNetworkTimeout(Executor executor, int milliseconds) {}
    public int getNetworkTimeout() { return 0; }
    public <T> T unwrap(Class<T> type) { return null; }
    public boolean isWrapperFor(Class<?> type) { return false; }
  }
}
