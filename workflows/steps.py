"""Next steps that several errors name, each worded once."""

COMFYUI_STEP = "start ComfyUI, or set COMFYUI_URL to the address of one that runs"
