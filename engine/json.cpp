#include "json.h"
#include "arena.h"

constexpr i32 DEEPEST = 16; // a spec nests three deep; a stranger's text must not exhaust the stack

const Json *Json::get(const char *name) const {
  const Json *found = nullptr;
  for (const Json *value = first; value; value = value->next)
    if (value->key == span(name)) found = value;
  return found;
}

namespace {
struct Reader {
  char *at, *end;
  bool failed = false;

  void skip() {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r')) at++;
  }
  bool take(char c) {
    skip();
    if (at < end && *at == c) return at++, true;
    return false;
  }
  Json *fail() {
    failed = true;
    return nullptr;
  }

  bool word(const char *literal) {
    Span expected = span(literal);
    if (end - at < expected.size || !(Span{at, expected.size} == expected)) return false;
    at += expected.size;
    return true;
  }

  // The nearest double within an ulp or two: enough, since every number of a spec becomes a float or an integer
  double number() {
    bool minus = take('-'), any = false;
    double value = 0;
    i32 scale = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++, any = true) value = value * 10 + (*at - '0');
    if (at < end && *at == '.')
      for (at++; at < end && *at >= '0' && *at <= '9'; at++, scale--) value = value * 10 + (*at - '0');
    if (any && at < end && (*at == 'e' || *at == 'E')) scale += exponent();
    for (; scale > 0 && value < 1e300; scale--) value *= 10;
    double divisor = 1;
    for (; scale < 0 && divisor < 1e300; scale++) divisor *= 10;
    value /= divisor;
    if (!any || value > 1e300) failed = true;
    return minus ? -value : value;
  }
  i32 exponent() {
    at++;
    bool minus = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) at++;
    i32 value = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) value = least(value * 10 + (*at - '0'), 1000);
    return minus ? -value : value;
  }

  u32 hex4() {
    u32 value = 0;
    if (end - at < 4) return failed = true, 0;
    for (i32 i = 0; i < 4; i++, at++) {
      u32 digit = *at <= '9' ? (u32)(*at - '0') : (u32)((*at | 32) - 'a') + 10;
      if (digit > 15) failed = true;
      value = value * 16 + digit;
    }
    return value;
  }
  char *utf8(char *to, u32 code) {
    if (code < 0x80) return *to++ = (char)code, to;
    i32 more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    *to++ = (char)((0xff00 >> (more + 1) & 0xff) | (code >> 6 * more));
    while (more--) *to++ = (char)(0x80 | (code >> 6 * more & 0x3f));
    return to;
  }
  char *escape(char *to) {
    if (at >= end) return failed = true, to;
    char c = *at++;
    if (c != 'u') {
      for (const char *pair = "n\nt\tr\rb\bf\f"; *pair; pair += 2)
        if (c == pair[0]) return *to++ = pair[1], to;
      return *to++ = c, to; // a quote, a slash, a backslash
    }
    u32 code = hex4();
    if (code >= 0xd800 && code < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
      at += 2;
      code = 0x10000 + ((code - 0xd800) << 10) + ((hex4() - 0xdc00) & 0x3ff);
    }
    return utf8(to, code); // never longer than its escape
  }
  Span string() {
    if (!take('"')) return failed = true, Span{};
    char *start = at, *to = at;
    while (at < end && *at != '"') {
      if (*at == '\\') at++, to = escape(to);
      else *to++ = *at++;
    }
    if (at >= end) failed = true;
    else at++;
    return Span{start, (i32)(to - start)};
  }

  Json *members(Json *value, bool keyed, i32 depth) {
    char close = keyed ? '}' : ']';
    if (take(close)) return value;
    Json **link = &value->first;
    do {
      Span key = keyed ? string() : Span{};
      if (failed || (keyed && !take(':'))) return fail();
      Json *member = read(depth + 1);
      if (!member) return nullptr;
      member->key = key;
      *link = member;
      link = &member->next;
      value->count++;
    } while (take(','));
    return take(close) ? value : fail();
  }
  Json *read(i32 depth) {
    if (depth > DEEPEST) return fail();
    skip();
    if (at >= end) return fail();
    Json *value = new (make<Json>()) Json;
    if (take('{')) return value->kind = Json::OBJECT, members(value, true, depth);
    if (take('[')) return value->kind = Json::LIST, members(value, false, depth);
    if (*at == '"') value->kind = Json::STRING, value->text = string();
    else if (word("null")) value->kind = Json::NOTHING;
    else if (word("true")) value->kind = Json::BOOLEAN, value->truth = true;
    else if (word("false")) value->kind = Json::BOOLEAN;
    else value->kind = Json::NUMBER, value->number = number();
    return failed ? nullptr : value;
  }
};
} // namespace

Json *read_json(char *text, i32 size, Text &problem) {
  Reader reader{text, text + size};
  Json *document = reader.read(0);
  reader.skip();
  if (document && reader.at == reader.end) return document;
  problem << "the network's spec is not JSON (at byte " << (i32)(reader.at - text) << ")";
  return nullptr;
}
