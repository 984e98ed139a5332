#include "stepped_worker.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>

#include "base/status.h"

namespace weir::test {

// Written by one side at a time; who waits for the other has it stopped.
struct SteppedWorker::Board {
  static constexpr std::uint32_t kMostDeeds = 1U << 18;

  std::atomic<bool> surveys{false}, counts_steps{false}, reached{false}, through{false};
  Point point{};
  Fate fate = Fate::kKilled;
  std::uint32_t instructions = 0;
  std::uint32_t deed_count = 0;
  std::uint32_t deeds[kMostDeeds];
};

namespace {

using Board = SteppedWorker::Board;

#if defined(__x86_64__)

constexpr greg_t kTrapFlag = 0x100;

enum class Pace {
  kFree,         // at full speed, and nobody counts
  kToDeed,       // from deed to deed
  kStep,         // instruction by instruction
  kSurveyDeeds,  // from deed to deed, to the end
  kSurvey,       // instruction by instruction, with an eye on the deeds
};

// The child's own; handlers have nothing else to find it by.
struct {
  Board* board = nullptr;
  std::byte* begin = nullptr;
  std::size_t size = 0;
  pid_t thread = 0;  // the one that is led
  volatile Pace pace = Pace::kFree;
  std::uint32_t deeds = 0, steps = 0;
} led;

// ---- system calls of our own ----------------------------------------------------------------

// The only place from which system calls pass the filter untouched.
extern "C" long weir_step_syscall(long number, long a, long b, long c, long d, long e, long f);
extern "C" const char weir_step_syscall_end[];
asm(R"(
  .text
  .hidden weir_step_syscall
  .hidden weir_step_syscall_end
  .globl weir_step_syscall
  .globl weir_step_syscall_end
  .type weir_step_syscall, @function
weir_step_syscall:
  mov %rdi, %rax
  mov %rsi, %rdi
  mov %rdx, %rsi
  mov %rcx, %rdx
  mov %r8, %r10
  mov %r9, %r8
  mov 8(%rsp), %r9
  syscall
weir_step_syscall_end:
  ret
  .size weir_step_syscall, . - weir_step_syscall
)");

void protect(int protection) {
  if (led.size == 0) return;
  weir_step_syscall(SYS_mprotect, reinterpret_cast<long>(led.begin), static_cast<long>(led.size),
                    protection, 0, 0, 0);
}

void signal_self(int signal) {
  const long process = weir_step_syscall(SYS_getpid, 0, 0, 0, 0, 0, 0);
  weir_step_syscall(SYS_kill, process, signal, 0, 0, 0, 0);
}

// ---- counting -------------------------------------------------------------------------------

// At its point: its fate. Who comes back goes on at full speed.
void meet_fate() {
  led.board->reached.store(true);
  led.pace = Pace::kFree;
  protect(PROT_READ | PROT_WRITE);
  signal_self(led.board->fate == Fate::kKilled ? SIGKILL : SIGSTOP);
}

// Before a deed of the thread that is led.
void count_deed() {
  const Point& point = led.board->point;
  if (led.pace == Pace::kSurvey || led.pace == Pace::kSurveyDeeds) {
    if (led.deeds < Board::kMostDeeds) led.board->deeds[led.deeds] = led.steps;
    ++led.deeds;
  } else if (led.pace == Pace::kToDeed && ++led.deeds == point.deed) {
    if (point.steps == 0) {
      meet_fate();
    } else {
      led.pace = Pace::kStep;
      led.steps = 0;
    }
  }
}

void count_step() {
  ++led.steps;
  if (led.pace == Pace::kStep && led.steps == led.board->point.steps) meet_fate();
}

greg_t& flags_of(void* context) {
  return static_cast<ucontext_t*>(context)->uc_mcontext.gregs[REG_EFL];
}

bool is_stepping() { return led.pace == Pace::kStep || led.pace == Pace::kSurvey; }
bool guards_memory() { return led.pace != Pace::kFree && led.pace != Pace::kStep; }

// Who begins without the segment has it as soon as it has mapped it, and not any more once it has
// unmapped it.
void watch_mapping(const greg_t* registers, greg_t number, greg_t result) {
  const auto bytes = static_cast<std::size_t>(registers[REG_RSI]);
  if (number == SYS_mmap && led.size == 0 && result > 0) {
    const bool is_segment = (registers[REG_RDX] & PROT_WRITE) != 0 &&
                            (registers[REG_R10] & MAP_SHARED) != 0 &&
                            (registers[REG_R10] & MAP_ANONYMOUS) == 0;
    if (!is_segment) return;
    led.begin = reinterpret_cast<std::byte*>(result);  // NOLINT(performance-no-int-to-ptr)
    led.size = bytes;
  } else if (number == SYS_munmap && registers[REG_RDI] == reinterpret_cast<greg_t>(led.begin)) {
    led.size = 0;
  }
}

// ---- handlers -------------------------------------------------------------------------------

void before_access(int /*signal*/, siginfo_t* info, void* context) {
  const auto* at = static_cast<std::byte*>(info->si_addr);
  if (at < led.begin || at >= led.begin + led.size) {
    struct sigaction action {};  // a fault of its own: again, and for good
    action.sa_handler = SIG_DFL;
    sigaction(SIGSEGV, &action, nullptr);
    return;
  }
  count_deed();
  protect(PROT_READ | PROT_WRITE);
  if (led.pace != Pace::kFree) flags_of(context) |= kTrapFlag;
}

void after_instruction(int /*signal*/, siginfo_t* /*info*/, void* context) {
  if (is_stepping()) count_step();
  if (guards_memory()) protect(PROT_NONE);
  if (!is_stepping()) flags_of(context) &= ~kTrapFlag;
}

void instead_of_syscall(int /*signal*/, siginfo_t* /*info*/, void* context) {
  greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const bool is_led = weir_step_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0) == led.thread;
  if (is_led) {
    count_deed();
    if (guards_memory()) protect(PROT_READ | PROT_WRITE);
  }
  const greg_t number = registers[REG_RAX];
  registers[REG_RAX] =
      weir_step_syscall(number, registers[REG_RDI], registers[REG_RSI], registers[REG_RDX],
                        registers[REG_R10], registers[REG_R8], registers[REG_R9]);
  if (!is_led) return;
  watch_mapping(registers, number, registers[REG_RAX]);
  if (guards_memory()) protect(PROT_NONE);
  if (led.pace == Pace::kStep) registers[REG_EFL] |= kTrapFlag;
}

void on_signal(int signal, void (*handler)(int, siginfo_t*, void*)) {
  struct sigaction action {};
  action.sa_flags = SA_SIGINFO;
  action.sa_sigaction = handler;
  WEIR_CHECK(sigaction(signal, &action, nullptr) == 0);
}

// From now on each system call of this thread comes as SIGSYS, for good: but our own, and those
// that a handler cannot make for somebody else.
void trap_system_calls() {
  const auto end = reinterpret_cast<std::uint64_t>(&weir_step_syscall_end);
  std::vector<sock_filter> filter;
  const auto load = [&](std::size_t offset) {
    filter.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)));
  };
  // 1. those that always pass.
  load(offsetof(seccomp_data, nr));
  for (const int number : {SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_clone, SYS_clone3, SYS_exit,
                           SYS_exit_group, SYS_sigaltstack}) {
    filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, 1));
    filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
  }
  // 2. our own, by the address they return to: its two halves.
  load(offsetof(seccomp_data, instruction_pointer));
  filter.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(end), 1, 0));
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  load(offsetof(seccomp_data, instruction_pointer) + 4);
  filter.push_back(
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(end >> 32), 1, 0));
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  filter.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));

  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  WEIR_CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  WEIR_CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

void set_trap_flag() {
  // Not over the red zone, where the compiler may keep what it likes.
  asm volatile(
      "lea -128(%%rsp), %%rsp\n\t"
      "pushfq\n\t"
      "orq $0x100, (%%rsp)\n\t"
      "popfq\n\t"
      "lea 128(%%rsp), %%rsp" ::
          : "memory", "cc");
}

// Handlers and filter; nothing is counted yet.
void get_ready(Board& board, const SteppedWorker::Part& part) {
  led.board = &board;
  led.thread = gettid();
  on_signal(SIGTRAP, after_instruction);
  if (!part.deeds) return;
  const std::span<std::byte> memory = part.memory();
  led.begin = memory.data();
  led.size = memory.size();
  on_signal(SIGSEGV, before_access);
  on_signal(SIGSYS, instead_of_syscall);
  trap_system_calls();
}

void begin() {
  const Board& board = *led.board;
  if (board.surveys) {
    led.pace = board.counts_steps ? Pace::kSurvey : Pace::kSurveyDeeds;
  } else {
    led.pace = board.point.deed == 0 ? Pace::kStep : Pace::kToDeed;
  }
  if (guards_memory()) protect(PROT_NONE);
  if (is_stepping()) set_trap_flag();
}

void end() {
  led.pace = Pace::kFree;
  protect(PROT_READ | PROT_WRITE);
  led.board->instructions = led.steps;
  led.board->deed_count = std::min(led.deeds, Board::kMostDeeds);
}

#else
void get_ready(Board&, const SteppedWorker::Part&) {}
void begin() {}
void end() {}
#endif

Board* new_board() {
  void* const memory =
      mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  WEIR_CHECK(memory != MAP_FAILED);
  return new (memory) Board;
}

}  // namespace

Point Survey::after(std::uint32_t n) const {
  const auto next = std::upper_bound(deeds.begin(), deeds.end(), n);
  if (next == deeds.begin()) return {0, n};
  return {static_cast<std::uint32_t>(next - deeds.begin()), n - *(next - 1)};
}

SteppedWorker::SteppedWorker(const Part& part)
    : board_(new_board()), child_([&] {
        part.prepare();
        get_ready(*board_, part);
        stop_here();
        begin();
        part.act();
        end();
        board_->through.store(true);
        stop_here();
        return 0;
      }) {
  WEIR_CHECK(child_.await_stop());
}

SteppedWorker::~SteppedWorker() {
  child_.kill();
  munmap(board_, sizeof(Board));
}

void SteppedWorker::start(Point point, Fate fate) {
  board_->point = point;
  board_->fate = fate;
  child_.resume();
}

void SteppedWorker::start_survey(bool counts_steps) {
  board_->surveys.store(true);
  board_->counts_steps.store(counts_steps);
  child_.resume();
}

Survey SteppedWorker::survey() const {
  return {board_->instructions,
          std::vector<std::uint32_t>(board_->deeds, board_->deeds + board_->deed_count)};
}

bool SteppedWorker::is_running() {
  if (stands_ || gone_) return false;
  siginfo_t info{};
  // WNOWAIT: left for await() to take.
  const int looked =
      waitid(P_PID, static_cast<id_t>(child_.pid()), &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT);
  return looked == 0 && info.si_pid == 0;
}

bool SteppedWorker::await() {
  if (!stands_ && !gone_) {
    stands_ = child_.await_stop();
    gone_ = !stands_;
    // Else it has ended otherwise: by a crash, or a check of its own.
    WEIR_CHECK(stands_ || board_->reached.load());
  }
  return !is_through();
}

bool SteppedWorker::is_through() const { return board_->through.load(); }

void SteppedWorker::resume() {
  stands_ = false;
  child_.resume();
}

std::span<std::byte> memory_of(const shm::Segment& segment) {
  return {reinterpret_cast<std::byte*>(&segment.header()), segment.header().facts.total_bytes};
}

}  // namespace weir::test
