"""Names that options of the command line accept; a module without imports, since ``--help`` must not load torch."""

#: Layouts of benchmarks on disk; ``metauas.eval.LAYOUTS`` holds their readers.
LAYOUTS = ("mvtec", "visa", "goods", "btad", "loco", "mvtec2", "mpdd", "real-iad", "real-iad-single", "folder")
#: Prompt strategies, by ``metauas.eval.EvalSettings.prompt``.
PROMPTS = ("random", "nearest", "pool", "defective")
#: Disturbances of prompts; ``metauas.eval.DISTURBANCES`` defines them.
DISTURBANCES = ("rotation", "shift", "scale", "blur", "brightness", "defective")
