// Text that leaves the engine: reports (JSON) and sentences for people. A fixed room; what does not fit is cut off.
#pragma once
#include "base.h"

struct Span { // a piece of text that lies elsewhere
  const char *at = nullptr;
  i32 size = 0;
  bool operator==(const Span &other) const;
};

Span span(const char *literal);

class Text {
public:
  void use(char *room, i32 capacity);
  void clear() { size_ = 0; }
  const char *at() const { return room_; }
  i32 size() const { return size_; }

  Text &operator<<(const char *literal) { return *this << span(literal); }
  Text &operator<<(Span text);
  Text &operator<<(i32 number) { return *this << (double)number; }
  Text &operator<<(u64 number) { return *this << (double)number; }
  Text &operator<<(double number); // as few digits as say it to nine places
  Text &quoted(Span text);         // as a JSON string
private:
  void put(char c) {
    if (size_ < capacity_) room_[size_++] = c;
  }
  void put_digits(u64 number);
  char *room_ = nullptr;
  i32 capacity_ = 0, size_ = 0;
};
