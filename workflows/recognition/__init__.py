"""What a weight file is, from its header: tables of signs (the TOML files beside this one) and their reading.

The order of evidence: names and shapes of the tensors, then the metadata, then the file's own name, which is a guess.
It opens no file: `utils.safetensors_header` reads the header.
"""

from workflows.recognition.evidence import Recognised, recognise

__all__ = ["Recognised", "recognise"]
