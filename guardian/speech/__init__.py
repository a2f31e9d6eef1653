"""Ring 1: `guardian.core` plus onnxruntime, pocketsphinx, pypinyin, av. No other part."""
