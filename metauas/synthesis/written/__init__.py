"""Pairs on disk: parquet shards with a card (extra ``data``), and the pairs of other data sets."""
