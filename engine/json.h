// A minimal JSON reader: text in, a tree of values that point into it out. Strings are unescaped in place.
#pragma once
#include "text.h"

struct Json {
  enum Kind : u8 { NOTHING, BOOLEAN, NUMBER, STRING, LIST, OBJECT };
  Kind kind = NOTHING;
  bool truth = false;
  double number = 0;
  Span text;             // of a string
  Span key;              // in an object
  Json *first = nullptr; // of a list or an object
  Json *next = nullptr;
  i32 count = 0;

  const Json *get(const char *name) const; // the value of a key (the last one given), or nullptr
};

// Read a document; nullptr and a sentence in `problem` when it is not JSON. The text is changed.
Json *read_json(char *text, i32 size, Text &problem);
