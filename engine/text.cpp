#include "text.h"

bool Span::operator==(const Span &other) const {
  if (size != other.size) return false;
  for (i32 i = 0; i < size; i++)
    if (at[i] != other.at[i]) return false;
  return true;
}

Span span(const char *literal) {
  i32 size = 0;
  while (literal[size]) size++;
  return Span{literal, size};
}

void Text::use(char *room, i32 capacity) {
  room_ = room;
  capacity_ = capacity;
  size_ = 0;
}

Text &Text::operator<<(Span text) {
  for (i32 i = 0; i < text.size; i++) put(text.at[i]);
  return *this;
}

void Text::put_digits(u64 number) {
  if (number >= 10) put_digits(number / 10);
  put((char)('0' + number % 10));
}

Text &Text::operator<<(double number) {
  if (!(number < 1e18 && number > -1e18)) return *this << (number != number ? "nan" : "a huge number");
  if (number < 0) {
    put('-');
    number = -number;
  }
  u64 whole = (u64)number;
  u64 billionths = (u64)((number - (double)whole) * 1e9 + 0.5);
  if (billionths >= 1000000000u) whole++, billionths = 0;
  put_digits(whole);
  if (!billionths) return *this;
  put('.');
  for (u64 unit = 100000000u; billionths; unit /= 10) {
    put((char)('0' + billionths / unit));
    billionths %= unit;
  }
  return *this;
}

Text &Text::quoted(Span text) {
  put('"');
  for (i32 i = 0; i < text.size; i++) {
    u8 c = (u8)text.at[i];
    if (c == '"' || c == '\\') put('\\');
    if (c >= 0x20) put((char)c);
    else *this << "\\u00" << (i32)(c >> 4), put("0123456789abcdef"[c & 15]);
  }
  put('"');
  return *this;
}
