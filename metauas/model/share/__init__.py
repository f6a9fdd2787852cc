"""Networks for other programs: the Hub, exported graphs, ONNX Runtime, and a faster copy."""
