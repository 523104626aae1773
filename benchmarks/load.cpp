// A crowd of browsers in one process, for benchmarks/master.py: it only sends and counts, so that what is measured is the
// server.
//
//   load PORT SERVER_PID MODE BROWSERS VALUES PERIOD_MS ROUNDS PROTOCOL ENGINE PROJECT
//
// Rules of this file:
// - MODE train: browsers that join, are ready, and answer all at once, 1 ms before the period ends.
//   MODE echo: no messages; each round all send one frame of VALUES float32 and wait for one as long.
//   MODE deflate: the same, and permessage-deflate is offered, as browsers do. MODE idle: Hello, and then silence.
//   MODE steady: browsers of 2,000 vectors a second that answer when what they are ordered to compute would be computed.
// - One JSON line per round. The server's CPU is read from its own CPU clock before the first byte leaves and after the
//   last browser has the next round's frames, so all that a round costs is in it.
// - Frames are masked with a key of zeros: the server unmasks all the same, and all browsers share one vector.
// - It is a measuring tool: what it does not expect ends it with a message.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

constexpr int browsers_per_address = 200;  // the master takes 256 from one address
constexpr size_t small_frame = 1 << 18;    // larger ones are parameters, whose bytes nobody looks at
constexpr double patience_s = 20;
constexpr double power = 2000;             // vectors a second of a browser in mode steady

[[noreturn]] void fail(const std::string &what) {
  fprintf(stderr, "load: %s: %s\n", what.c_str(), strerror(errno));
  exit(1);
}

double seconds(clockid_t clock) {
  timespec now;
  if (clock_gettime(clock, &now)) fail("no such clock");
  return double(now.tv_sec) + double(now.tv_nsec) * 1e-9;
}

double now() { return seconds(CLOCK_MONOTONIC); }

struct Settings {
  int port;
  pid_t server;
  std::string mode;
  int browsers;
  size_t values;
  double period;
  int rounds;
  std::string protocol, engine, project;
  bool messages() const { return mode == "train" || mode == "idle" || mode == "steady"; }
};

struct Browser {
  int fd = -1;
  bool open = false;         // the WebSocket's handshake is done
  bool welcome = false;
  bool waiting = false;      // it has sent and waits for the next round
  long iteration = -1;       // of the newest orders
  double due = 0;            // when they are computed, 0: nothing is
  double until_ms = 0;       // how long that takes
  std::string worker = "1";
  std::string in;            // bytes not understood yet
  size_t skip = 0;           // bytes of a large frame still to come
  std::string out;           // bytes to send before the vector
  size_t vector_left = 0;    // bytes of the shared vector still to send
  std::string pongs;         // answers to pings that wait for the end of a frame
  bool writing = false;      // epoll is asked for room to write
};

class Crowd {
 public:
  explicit Crowd(const Settings &settings)
      : settings_(settings), vector_(settings.values, 1e-6f), browsers_(settings.browsers), epoll_(epoll_create1(0)) {
    if (clock_getcpuclockid(settings.server, &server_)) fail("the server's CPU clock");
    for (size_t i = 0; i < browsers_.size(); i++) connect(int(i));
    turn_until([this] { return ready_ == settings_.browsers; }, "all are connected");
  }

  void idle() {
    puts("{\"idle\": true}");
    fflush(stdout);
    while (getchar() != EOF) {
    }
  }

  void steady() {
    const double end = now() + settings_.rounds * settings_.period;
    while (now() < end) {
      double next = end;
      for (Browser &browser : browsers_) {
        if (browser.due && browser.due <= now()) {
          answer(browser, long(power * browser.until_ms / 1000), browser.until_ms);
          browser.due = 0;
        }
        if (browser.due) next = std::min(next, browser.due);
      }
      turn(std::max(0, int(1000 * (next - now()))));
    }
    printf("{\"refused\": %d}\n", refused_);
  }

  void run() {
    for (int round = 0; round < settings_.rounds; round++) {
      double first = settings_.messages() ? orders() : now();
      turn_while([&] { return now() < first + settings_.period - 0.001; }, first + settings_.period - 0.001);
      const double cpu = seconds(server_), begun = now();
      const int sent = send_all();
      turn_until([this] { return waiting_ == 0; }, "the next round", true);
      printf("{\"sent\": %d, \"missing\": %d, \"refused\": %d, \"cpu_ms\": %.3f, \"wall_ms\": %.3f}\n", sent, waiting_,
             refused_, 1000 * (seconds(server_) - cpu), 1000 * (now() - begun));
      fflush(stdout);
      refused_ = 0;
    }
  }

 private:
  void connect(int number) {
    Browser &browser = browsers_[number];
    browser.fd = socket(AF_INET, SOCK_STREAM, 0);
    int one = 1;
    setsockopt(browser.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in from{}, to{};
    from.sin_family = to.sin_family = AF_INET;
    from.sin_addr.s_addr = htonl(0x7f000001 + (number / browsers_per_address));
    to.sin_addr.s_addr = htonl(0x7f000001);
    to.sin_port = htons(settings_.port);
    if (bind(browser.fd, (sockaddr *)&from, sizeof from)) fail("bind");
    if (::connect(browser.fd, (sockaddr *)&to, sizeof to)) fail("connect");
    fcntl(browser.fd, F_SETFL, O_NONBLOCK);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u32 = number;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, browser.fd, &event)) fail("epoll_ctl");
    browser.out = "GET /ws HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(settings_.port) +
                  "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
                  (settings_.mode == "deflate" ? "Sec-WebSocket-Extensions: permessage-deflate\r\n" : "") + "\r\n";
    write(browser);
  }

  // ------------------------------------------------------------------------------------------------ frames
  void send(Browser &browser, std::string head, size_t values) {
    std::string payload;
    if (settings_.messages()) {
      head.append((8 - head.size() % 8) % 8, ' ');
      const uint32_t words[3] = {uint32_t(head.size()), uint32_t(values), 0};
      payload = std::string("MLB\x01", 4) + std::string((const char *)words, 12) + head;
    }
    const uint64_t length = payload.size() + 4 * values;
    std::string frame = "\x82";
    if (length < 126) {
      frame += char(0x80 | length);
    } else {
      frame += char(0x80 | 127);
      for (int shift = 56; shift >= 0; shift -= 8) frame += char(length >> shift);
    }
    browser.out += frame + std::string(4, '\0') + payload;
    browser.vector_left = 4 * values;
    write(browser);
  }

  void write(Browser &browser) {
    if (!browser.vector_left) browser.out += browser.pongs, browser.pongs.clear();  // not into the middle of a frame
    while (!browser.out.empty() || browser.vector_left) {
      const size_t whole = vector_.size() * 4;
      iovec parts[2] = {{browser.out.data(), browser.out.size()},
                        {(char *)vector_.data() + (whole - browser.vector_left), browser.vector_left}};
      ssize_t done = writev(browser.fd, parts, 2);
      if (done < 0 && errno == EAGAIN) break;
      if (done < 0) fail("write");
      const size_t head = std::min(size_t(done), browser.out.size());
      browser.out.erase(0, head);
      browser.vector_left -= size_t(done) - head;
    }
    const bool wants = !browser.out.empty() || browser.vector_left;
    if (wants == browser.writing) return;
    browser.writing = wants;
    epoll_event event{};
    event.events = wants ? EPOLLIN | EPOLLOUT : EPOLLIN;
    event.data.u32 = uint32_t(&browser - browsers_.data());
    epoll_ctl(epoll_, EPOLL_CTL_MOD, browser.fd, &event);
  }

  void read(Browser &browser) {
    static char room[1 << 20];
    for (;;) {
      const ssize_t got = recv(browser.fd, room, sizeof room, 0);
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) fail("the server closed a connection");
      size_t used = std::min(size_t(got), browser.skip);
      browser.skip -= used;
      if (used && !browser.skip) large(browser);
      browser.in.append(room + used, size_t(got) - used);
      while (understand(browser)) {
      }
    }
  }

  bool understand(Browser &browser) {
    std::string &in = browser.in;
    if (!browser.open) {
      const size_t end = in.find("\r\n\r\n");
      if (end == std::string::npos) return false;
      if (in.compare(0, 12, "HTTP/1.1 101")) fail("no WebSocket: " + in.substr(0, 80));
      in.erase(0, end + 4);
      browser.open = true;
      opened(browser);
      return true;
    }
    if (in.size() < 2) return false;
    const unsigned char *bytes = (const unsigned char *)in.data();
    const size_t kind = bytes[1] & 127, header = kind == 127 ? 10 : kind == 126 ? 4 : 2;
    if (in.size() < header) return false;
    size_t length = kind;
    if (kind >= 126) {
      length = 0;
      for (size_t i = 2; i < header; i++) length = length << 8 | bytes[i];
    }
    if (length > small_frame) {
      const size_t here = std::min(in.size() - header, length);
      in.erase(0, header + here);
      browser.skip = length - here;
      if (!browser.skip) large(browser);
      return true;
    }
    if (in.size() < header + length) return false;
    const int opcode = bytes[0] & 15;
    const std::string payload = in.substr(header, length);
    in.erase(0, header + length);
    if (opcode == 8) fail("closed: " + payload.substr(std::min<size_t>(2, payload.size())));
    if (opcode == 9) pong(browser, payload);
    if (opcode == 2 && !settings_.messages()) large(browser);
    if (opcode == 2 && settings_.messages()) message(browser, payload.substr(16));
    return true;
  }

  void pong(Browser &browser, const std::string &payload) {
    browser.pongs += std::string("\x8a") + char(0x80 | payload.size()) + std::string(4, '\0') + payload;
    write(browser);
  }

  // ------------------------------------------------------------------------------------------------ messages
  void opened(Browser &browser) {
    if (settings_.messages())
      send(browser, "{\"type\":\"Hello\",\"protocol\":" + settings_.protocol + ",\"engine\":\"" + settings_.engine +
                        "\",\"resume\":\"\",\"device\":\"load\"}", 0);
    else
      ready_++;
  }

  void large(Browser &browser) {  // a broadcast came: in an echo, the round is over
    if (settings_.messages() || !browser.waiting) return;
    browser.waiting = false;
    waiting_--;
  }

  static std::string field(const std::string &text, const std::string &name, size_t from = 0) {
    const size_t at = text.find("\"" + name + "\":", from);
    if (at == std::string::npos) fail("no " + name + " in " + text.substr(0, 200));
    const size_t begin = at + name.size() + 3;
    return text.substr(begin, text.find_first_of(",}]", begin) - begin);
  }

  void message(Browser &browser, const std::string &text) {
    const std::string type = field(text, "type");
    if (type == "\"Welcome\"") {
      if (settings_.mode == "idle") ready_++;
      else send(browser, "{\"type\":\"Join\",\"project\":\"" + settings_.project + "\",\"worker\":1}", 0);
    } else if (type == "\"Assign\"") {
      assigned(browser, text);
    } else if (type == "\"Orders\"") {
      browser.iteration = std::stol(field(text, "iteration"));
      browser.until_ms = std::stod(field(text, "until_ms"));
      if (settings_.mode == "steady") browser.due = now() + browser.until_ms / 1000;  // newer orders end older work
      if (first_orders_ < 0) first_orders_ = now();
      if (browser.waiting) waiting_--;
      browser.waiting = false;
    } else if (type == "\"Refused\"") {
      refused_++;
      last_refusal_ = text.substr(0, 200);
    } else if (type == "\"Bye\"" || type == "\"Reload\"") {
      fail(text.substr(0, 200));
    }
  }

  void assigned(Browser &browser, const std::string &text) {
    std::string hashes;
    for (size_t at = text.find("\"hash\":"); at != std::string::npos; at = text.find("\"hash\":", at + 1))
      hashes += (hashes.empty() ? "" : ",") + field(text, "hash", at);
    if (hashes.empty()) return;
    send(browser, "{\"type\":\"Ready\",\"worker\":1,\"assignment\":" + field(text, "assignment") + ",\"shards\":[" +
                      hashes + "]}", 0);
    if (!browser.welcome) ready_++;
    browser.welcome = true;
  }

  // ------------------------------------------------------------------------------------------------ rounds
  double orders() {
    turn_until([this] { return first_orders_ >= 0; }, "orders");
    return first_orders_;
  }

  int send_all() {
    int sent = 0;
    first_orders_ = -1;
    for (Browser &browser : browsers_) {
      if (settings_.messages() && browser.iteration < 0) continue;
      browser.waiting = true;
      waiting_++;
      sent++;
      answer(browser, 1, 50);
      browser.iteration = -1;
    }
    return sent;
  }

  void answer(Browser &browser, long count, double ms) {
    send(browser, "{\"type\":\"Answer\",\"project\":\"" + settings_.project + "\",\"iteration\":" +
                      std::to_string(browser.iteration) + ",\"results\":[{\"worker\":1,\"count\":" +
                      std::to_string(count) + ",\"loss\":1.5,\"wrong\":0,\"ms\":" + std::to_string(ms) + "}]}",
         settings_.values);
  }

  template <class Condition>
  void turn_until(Condition done, const char *what, bool may_fail = false) {
    const double end = now() + patience_s;
    while (!done()) {
      if (now() > end && may_fail) return;
      if (now() > end) fail(std::string("timed out: ") + what + ", refused: " + last_refusal_);
      turn(100);
    }
  }

  template <class Condition>
  void turn_while(Condition wanted, double end) {
    while (wanted()) turn(std::max(0, int(1000 * (end - now()))));
  }

  void turn(int wait_ms) {
    epoll_event events[64];
    const int n = epoll_wait(epoll_, events, 64, wait_ms);
    for (int i = 0; i < n; i++) {
      Browser &browser = browsers_[events[i].data.u32];
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read(browser);
      if (events[i].events & EPOLLOUT) write(browser);
    }
  }

  const Settings settings_;
  const std::vector<float> vector_;
  std::vector<Browser> browsers_;
  const int epoll_;
  clockid_t server_;
  int ready_ = 0, waiting_ = 0, refused_ = 0;
  double first_orders_ = -1;
  std::string last_refusal_ = "nothing";
};

}  // namespace

int main(int count, char **words) {
  if (count != 11) fail("eleven words are needed; benchmarks/master.py gives them");
  mallopt(M_TRIM_THRESHOLD, 1 << 28);  // else it waits for the pages of its own buffers, and the server for it
  mallopt(M_MMAP_THRESHOLD, 1 << 25);
  const Settings settings{atoi(words[1]), pid_t(atoi(words[2])), words[3], atoi(words[4]), size_t(atol(words[5])),
                          atof(words[6]) / 1000, atoi(words[7]), words[8], words[9], words[10]};
  Crowd crowd(settings);
  if (settings.mode == "idle") crowd.idle();
  else if (settings.mode == "steady") crowd.steady();
  else crowd.run();
}
