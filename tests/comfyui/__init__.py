"""What the fake ComfyUI is made of."""
