"""The data server: zipped image folders in, immutable shards out."""
