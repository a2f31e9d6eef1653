"""Ring 1: `guardian.core` plus sherpa-onnx, pocketsphinx, onnxruntime, pypinyin and av. Imports no other part."""
