"""Shape checks for the whole package while tests run."""

import matplotlib
from jaxtyping import install_import_hook

matplotlib.use("Agg")
install_import_hook("metauas", "beartype.beartype")
