"""Reads a written adapter with gguf-py (pip install gguf): SMALL. Prints one JSON object."""

import json
import re
import sys

from gguf import GGUFReader

reader = GGUFReader(sys.argv[1])
tensors = {tensor.name: [int(size) for size in tensor.shape] for tensor in reader.tensors}
layers = sorted({int(match[1]) for name in tensors if (match := re.match(r"blk\.(\d+)\.", name))})
made = {
    key: field.contents() for key, field in reader.fields.items() if key.startswith("lora_boundary.")
}
alpha = float(reader.fields["adapter.lora.alpha"].contents())
ranks = sorted({shape[1] for name, shape in tensors.items() if name.endswith(".lora_a")})
print(json.dumps({"layers": layers, "ranks": ranks, "alpha": alpha, "tensors": len(tensors), "made": made}))
