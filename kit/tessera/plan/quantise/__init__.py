"""A float32 network to an int8 one: ranges are measured, steps chosen, the loss per layer reported.

Goal: a graph with quantise and dequantise nodes, which every reader of ONNX understands and which
`passes.integers` turns into one that runs in integers.
Non-goals: training with quantisation in view; types other than 8 bits.
"""
