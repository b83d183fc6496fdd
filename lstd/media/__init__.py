"""Video in and out, pictures, and drawing.

Needs PyAV and Pillow (`pip install "lstd[video]"`), which are imported only when they are used.
Frames are always NumPy uint8 `[H, W, 3]`, RGB.
"""
