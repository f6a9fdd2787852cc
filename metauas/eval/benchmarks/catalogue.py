"""Published facts of the field's benchmarks: source, licence and numbers of images."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

from metauas.errors import check_choice

UNKNOWN = "see its page"


@dataclass(frozen=True)
class Counts:
    """Numbers of images.

    Attributes:
        train: normal training images.
        good: good test images.
        defective: defective test images.
        validation: normal images for validation.
        unlabelled: test images without published labels, in each of their folders.
    """

    train: int
    good: int
    defective: int
    validation: int = 0
    unlabelled: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, kw_only=True)
class Source:
    """One benchmark as its authors publish it.

    Attributes:
        title: its name in papers.
        homepage: page with description and download.
        paper: to be cited.
        steps: shell commands and comments that lead to a folder to read.
        categories: counts by name, None if unknown.
        licence: of the images.
        size: of the download.
        total: counts of all categories together; given only if the counts of each are unknown.
        note: peculiarities.
        metrics: metrics of the benchmark's paper that evaluation gives in addition to the seven.
    """

    title: str
    homepage: str
    paper: str
    steps: tuple[str, ...]
    categories: Mapping[str, Counts | None]
    licence: str = UNKNOWN
    size: str = UNKNOWN
    total: Counts | None = None
    note: str = ""
    metrics: tuple[str, ...] = ()

    def counts(self) -> Counts | None:
        """Return the counts of all categories together, None if they are unknown."""
        known = [counts for counts in self.categories.values() if counts is not None]
        return self.total or (sum(known, Counts(0, 0, 0)) if known else None)


def find_source(name: str) -> Source:
    """Return a benchmark of ``CATALOGUE`` by name.

    Raises:
        InputError: the name is unknown; names the nearest one.
    """
    return CATALOGUE[check_choice(name="benchmark", value=name, choices=CATALOGUE)]


# MVTec AD: the journal paper's overview table; it adds up to the lists of MetaUAS's author.
_MVTEC = {
    "bottle": Counts(209, 20, 63),
    "cable": Counts(224, 58, 92),
    "capsule": Counts(219, 23, 109),
    "carpet": Counts(280, 28, 89),
    "grid": Counts(264, 21, 57),
    "hazelnut": Counts(391, 40, 70),
    "leather": Counts(245, 32, 92),
    "metal_nut": Counts(220, 22, 93),
    "pill": Counts(267, 26, 141),
    "screw": Counts(320, 41, 119),
    "tile": Counts(230, 33, 84),
    "toothbrush": Counts(60, 12, 30),
    "transistor": Counts(213, 60, 40),
    "wood": Counts(247, 19, 60),
    "zipper": Counts(240, 32, 119),
}
# VisA: the repository's table of normal images, nine in ten of which are for training by 1cls.csv.
_VISA = {
    "candle": Counts(900, 100, 100),
    "capsules": Counts(542, 60, 100),
    "cashew": Counts(450, 50, 100),
    "chewinggum": Counts(453, 50, 100),
    "fryum": Counts(450, 50, 100),
    "macaroni1": Counts(900, 100, 100),
    "macaroni2": Counts(900, 100, 100),
    "pcb1": Counts(904, 100, 100),
    "pcb2": Counts(901, 100, 100),
    "pcb3": Counts(905, 101, 100),
    "pcb4": Counts(904, 101, 100),
    "pipe_fryum": Counts(450, 50, 100),
}
# GoodsAD: the repository's table, but for drink_can, by the lists of MetaUAS's author (the table: 234, 147, 147).
_GOODSAD = {
    "cigarette_box": Counts(183, 183, 246),
    "drink_bottle": Counts(733, 356, 425),
    "drink_can": Counts(235, 147, 146),
    "food_bottle": Counts(1014, 243, 361),
    "food_box": Counts(432, 146, 251),
    "food_package": Counts(540, 253, 230),
}
# BTAD: as counted in the field; adds up to the lists of MetaUAS's author.
_BTAD = {"01": Counts(400, 21, 49), "02": Counts(399, 30, 200), "03": Counts(1000, 400, 41)}
# MVTec LOCO AD: the paper's overview table; for splicing_connectors the archive holds 6 training images more.
_LOCO = {
    "breakfast_box": Counts(351, 102, 173),
    "juice_bottle": Counts(335, 94, 236),
    "pushpins": Counts(372, 138, 172),
    "screw_bag": Counts(360, 122, 219),
    "splicing_connectors": Counts(360, 119, 193),
}
# MVTec AD 2: the unlabelled images as MVTec's own check of uploads expects them (MVTecAD2_public_code_utils, utils.py);
# the others as the project Anometa counts them on disk. With both folders of unlabelled images, all are 8004.
_MVTEC2 = {
    "can": Counts(412, 72, 90, 46, 321),
    "fabric": Counts(387, 66, 90, 43, 314),
    "fruit_jelly": Counts(263, 20, 60, 37, 255),
    "rice": Counts(313, 42, 90, 35, 277),
    "sheet_metal": Counts(137, 24, 90, 19, 142),
    "vial": Counts(291, 35, 105, 41, 276),
    "wallplugs": Counts(293, 60, 90, 33, 232),
    "walnuts": Counts(432, 60, 90, 48, 228),
}
# MPDD: as counted in the published archive; adds up to its copy AI4Manufacturing/187 on the Hugging Face Hub.
_MPDD = {
    "bracket_black": Counts(289, 32, 47),
    "bracket_brown": Counts(185, 26, 51),
    "bracket_white": Counts(110, 30, 30),
    "connector": Counts(128, 30, 14),
    "metal_plate": Counts(54, 26, 71),
    "tubes": Counts(122, 32, 69),
}
_REALIAD = (
    "audiojack bottle_cap button_battery end_cap eraser fire_hood mint mounts pcb phone_battery plastic_nut "
    "plastic_plug porcelain_doll regulator rolled_strip_base sim_card_set switch tape terminalblock toothbrush toy "
    "toy_brick transistor1 u_block usb usb_adaptor vcpill wooden_beads woodstick zipper"
)

#: By the name of their layout.
CATALOGUE: dict[str, Source] = {
    "mvtec": Source(
        title="MVTec AD",
        homepage="https://www.mvtec.com/company/research/datasets/mvtec-ad",
        paper="Bergmann et al., The MVTec Anomaly Detection Dataset, IJCV 2021",
        licence="CC BY-NC-SA 4.0",
        size="4.9 GB",
        steps=("# download mvtec_anomaly_detection.tar.xz from its page", "tar -xf mvtec_anomaly_detection.tar.xz"),
        categories=_MVTEC,
    ),
    "visa": Source(
        title="VisA",
        homepage="https://github.com/amazon-science/spot-diff",
        paper="Zou et al., SPot-the-Difference Self-Supervised Pre-training, ECCV 2022",
        licence="CC BY 4.0",
        steps=(
            "curl -O https://amazon-visual-anomaly.s3.us-west-2.amazonaws.com/VisA_20220922.tar",
            "mkdir VisA && tar -xf VisA_20220922.tar -C VisA",
        ),
        categories=_VISA,
        note="The folder to give holds candle, …, pipe_fryum and split_csv. Once converted, its layout is mvtec.",
    ),
    "goods": Source(
        title="GoodsAD",
        homepage="https://github.com/jianzhang96/GoodsAD",
        paper="Zhang et al., PKU-GoodsAD, IEEE RA-L 2024",
        size="12.3 GB",
        steps=("# download the six archives linked from its page and unpack them into one folder",),
        categories=_GOODSAD,
        note="For drink_can, its page counts one training image less and one defective image more.",
    ),
    "btad": Source(
        title="BTAD",
        homepage="https://github.com/pankajmishra000/VT-ADL",
        paper="Mishra et al., VT-ADL: A Vision Transformer Network for Image Anomaly Detection, ISIE 2021",
        licence="CC BY-SA 4.0",
        steps=("curl -O https://avires.dimi.uniud.it/papers/btad/btad.zip", "unzip btad.zip"),
        categories=_BTAD,
    ),
    "loco": Source(
        title="MVTec LOCO AD",
        homepage="https://www.mvtec.com/company/research/datasets/mvtec-loco",
        paper="Bergmann et al., Beyond Dents and Scratches, IJCV 2022",
        licence="CC BY-NC-SA 4.0",
        steps=(
            "# download mvtec_loco_anomaly_detection.tar.xz from its page",
            "mkdir mvtec_loco && tar -xf mvtec_loco_anomaly_detection.tar.xz -C mvtec_loco",
        ),
        categories=_LOCO,
        note="Prompts come from train/good; validation/good is not used.",
    ),
    "mvtec2": Source(
        title="MVTec AD 2",
        homepage="https://www.mvtec.com/company/research/datasets/mvtec-ad-2",
        paper="Heckler-Kram et al., The MVTec AD 2 Dataset, arXiv:2503.21622, 2025",
        licence="CC BY-NC-SA 4.0",
        steps=(
            "# download the archives of MVTec AD 2 from its page and unpack them into one folder",
            "# to send results to https://benchmark.mvtec.com, evaluate with --submit",
        ),
        categories=_MVTEC2,
        note="Evaluation is on test_public. test_private and test_private_mixed have no published labels.",
        metrics=("AUPRO@0.05", "SegF1"),
    ),
    "mpdd": Source(
        title="MPDD",
        homepage="https://github.com/stepanje/MPDD",
        paper="Jezek et al., Deep learning-based defect detection of metal parts, ICUMT 2021",
        steps=("# download the archive linked from its page and unpack it",),
        categories=_MPDD,
        note="The folder to give holds bracket_black, …, tubes.",
    ),
    "real-iad": Source(
        title="Real-IAD",
        homepage="https://realiad4ad.github.io/Real-IAD/",
        paper="Wang et al., Real-IAD, CVPR 2024",
        licence="for research, on request; see its page",
        steps=(
            "# ask for access at https://huggingface.co/datasets/Real-IAD/Real-IAD",
            "hf download Real-IAD/Real-IAD --repo-type dataset --local-dir realiad --include 'realiad_1024/*'",
            "hf download Real-IAD/Real-IAD realiad_jsons.zip --repo-type dataset --local-dir realiad",
            "# unpack each category's archive in realiad/realiad_1024, and realiad_jsons.zip in realiad",
        ),
        categories=dict.fromkeys(_REALIAD.split()),
        total=Counts(36465, 63256, 51329),
        note="Each of the five views of an object is an image with its own label.",
    ),
    "real-iad-single": Source(
        title="Real-IAD single view",
        homepage="https://realiad4ad.github.io/Real-IAD/",
        paper="Wang et al., Real-IAD, CVPR 2024",
        licence="as real-iad",
        steps=("# as for real-iad (metauas data info real-iad)",),
        categories=dict.fromkeys(_REALIAD.split()),
        note="The lists of realiad_jsons_sv name one of the five views of each object.",
    ),
}
