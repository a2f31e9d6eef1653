"""Ring 1: `guardian.core` plus sherpa-onnx, pocketsphinx, onnxruntime, pypinyin, av. No other part."""
