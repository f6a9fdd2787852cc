"""Written pairs: parquet shards made on a cluster, with a card, and read back (needs the extra ``data``)."""

from metauas.synthesis.writing.hub import push_pairs
from metauas.synthesis.writing.reading import PairStream, WrittenPairs, stream_pairs
from metauas.synthesis.writing.run import ShardsFailedError, write_pairs

__all__ = ["PairStream", "ShardsFailedError", "WrittenPairs", "push_pairs", "stream_pairs", "write_pairs"]
