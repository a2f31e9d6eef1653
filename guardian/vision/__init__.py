"""Ring 1: `guardian.core` plus onnxruntime, mediapipe, ai-edge-litert and cv2. Imports no other part."""
