"""What the ComfyUI client is made of; import clients.comfyui_client instead."""
