extern "C" __attribute__((visibility("default"))) int engine_version() { return 1; }
