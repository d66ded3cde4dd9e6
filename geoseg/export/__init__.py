"""Models as other programs take them: ONNX, `torch.export`, STAC, Hugging Face."""
