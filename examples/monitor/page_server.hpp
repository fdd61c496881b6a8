// SPDX-License-Identifier: MIT OR Apache-2.0
// A page over HTTP for Prometheus and fastalloc_top, on this machine only. POSIX sockets; one request at a time.
#pragma once

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace monitor {

/// A file descriptor that is closed.
class Socket {
 public:
  explicit Socket(int fd) noexcept : fd_(fd) {
    timeval const patience{.tv_sec = 2, .tv_usec = 0};  // a peer that says nothing does not stop the server
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  }
  ~Socket() {
    if (fd_ >= 0) ::close(fd_);
  }
  Socket(Socket const&) = delete;
  Socket& operator=(Socket const&) = delete;
  [[nodiscard]] int get() const noexcept { return fd_; }

  bool send(std::string const& text) const {
    for (std::size_t sent = 0; sent != text.size();) {
      ssize_t const n = ::send(fd_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<std::size_t>(n);
    }
    return true;
  }
  /// Returns: what comes until `end`, or until the peer closes, or 1 MiB.
  [[nodiscard]] std::string receive(char const* end = nullptr) const {
    std::string text;
    char part[4096];
    while (text.size() < (1U << 20) && (end == nullptr || text.find(end) == std::string::npos)) {
      ssize_t const n = ::recv(fd_, part, sizeof part, 0);
      if (n <= 0) break;
      text.append(part, static_cast<std::size_t>(n));
    }
    return text;
  }

 private:
  int fd_;
};

inline sockaddr_in local_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

/// Serves make_page() at /metrics, in a thread of its own.
class PageServer {
 public:
  /// `port`: 0 for any that is free. Throws: std::runtime_error if the port is not to be had.
  PageServer(std::uint16_t port, std::string (*make_page)())
      : listener_(::socket(AF_INET, SOCK_STREAM, 0)), make_page_(make_page) {
    int const yes = 1;
    ::setsockopt(listener_.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address = local_address(port);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (::bind(listener_.get(), any, size) != 0 || ::listen(listener_.get(), 8) != 0 ||
        ::getsockname(listener_.get(), any, &size) != 0)
      throw std::runtime_error("cannot serve on port " + std::to_string(port) + ": " + std::strerror(errno));
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~PageServer() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    stopping_ = true;
    { Socket const wake = connect_to(port_); }
    thread_.join();
  }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  static Socket connect_to(std::uint16_t port) {
    sockaddr_in const address = local_address(port);
    int const fd = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(fd, reinterpret_cast<sockaddr const*>(&address), sizeof address) != 0) return ::close(fd), Socket(-1);
    return Socket(fd);
  }
  /// Returns: the page of a server on this machine; empty if there is none.
  static std::string fetch(std::uint16_t port) {
    Socket const socket = connect_to(port);
    if (socket.get() < 0 || !socket.send("GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n")) return {};
    std::string const answer = socket.receive();
    std::size_t const body = answer.find("\r\n\r\n");
    return answer.compare(0, 12, "HTTP/1.0 200") == 0 && body != std::string::npos ? answer.substr(body + 4) : "";
  }

 private:
  void serve() {
    while (!stopping_) {
      int const fd = ::accept(listener_.get(), nullptr, nullptr);
      if (fd < 0) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        continue;
      }
      Socket const peer(fd);
      std::string const request = peer.receive("\r\n\r\n");
      bool const known = request.compare(0, 13, "GET /metrics ") == 0;
      std::string const page = known ? make_page_() : "only /metrics is here\n";
      peer.send(std::string(known ? "HTTP/1.0 200 OK" : "HTTP/1.0 404 Not Found") +
                "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: " +
                std::to_string(page.size()) + "\r\nConnection: close\r\n\r\n" + page);
    }
  }

  Socket listener_;
  std::string (*make_page_)();
  std::uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace monitor
