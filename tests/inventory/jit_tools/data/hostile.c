/* A ptxas that harms whoever runs it: VICTIM, SOCKET and PORT are given to the compiler. Each line
   of standard output is an attempt and the error number that it ended with, 0 for success. Then it
   lists targets, as ptxas does. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(name, call) (errno = 0, printf("%s %d\n", name, (call) < 0 ? errno : 0))

static int speak_unix(void) {
  struct sockaddr_un place = {.sun_family = AF_UNIX, .sun_path = SOCKET};
  int one = socket(AF_UNIX, SOCK_STREAM, 0);
  if (one < 0 || connect(one, (struct sockaddr *)&place, sizeof place) < 0) return -1;
  return write(one, "x", 1);
}

static int send_udp(void) {
  struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(PORT)};
  place.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int one = socket(AF_INET, SOCK_DGRAM, 0);
  if (one < 0) return -1;
  return sendto(one, "x", 1, 0, (struct sockaddr *)&place, sizeof place);
}

static int leave_child(void) {
  int child = fork();
  if (child == 0) {
    setsid();
    for (int one = 0; one < 64; one++) close(one);
    sleep(30);
    _exit(0);
  }
  return child;
}

static void *thread(void *nothing) { return nothing; }

static int start_thread(void) {
  pthread_t one;
  errno = pthread_create(&one, NULL, thread, NULL);
  return errno ? -1 : 0;
}

int main(void) {
  struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
  int pair[2];
  setbuf(stdout, NULL);
  TRY("kill", kill(VICTIM, SIGKILL));
  TRY("sigqueue", syscall(SYS_rt_sigqueueinfo, VICTIM, SIGTERM, NULL));
  TRY("limit", syscall(SYS_prlimit64, VICTIM, RLIMIT_NOFILE, &all, NULL));
  TRY("ptrace", ptrace(PTRACE_SEIZE, VICTIM, 0, 0));
  TRY("unix", speak_unix());
  TRY("udp", send_udp());
  for (int family = 0; family < 46; family++) {
    char name[32];
    snprintf(name, sizeof name, "family-%d", family);
    TRY(name, socket(family, SOCK_RAW, 0));
  }
  TRY("pair", socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  TRY("io_uring", syscall(SYS_io_uring_setup, 4, (char[120]){0}));
  TRY("setsid", setsid());
  TRY("thread", start_thread());
  TRY("child", leave_child());
  TRY("vfork", syscall(SYS_clone3, (char[64]){0}, 64));
  TRY("namespace", unshare(CLONE_NEWUSER));
  TRY("write", open(SOCKET ".new", O_WRONLY | O_CREAT, 0600));
  TRY("read", open("/proc/self/environ", O_RDONLY));
  printf("--gpu-name\n Allowed values for this option:  'sm_90','sm_121a'.\n Default value\n");
  return 0;
}
