"""Published files hold their tensors in many ways: one row of ``LAYOUTS`` each.

A row says where the encoder's tensors are, how many attention heads the published sizes have, how
images are normalised, what makes the representation and to which family the training belongs.
What a row leaves open is asked for, never guessed.
"""

from dataclasses import dataclass, field

DEIT = {192: 3, 384: 6, 768: 12, 1024: 16}  # width -> heads, of ViT-Ti, S, B and L


@dataclass(frozen=True)
class Layout:
    """One way of holding an encoder.

    Attributes:
        name: shown to the user, and kept as the encoder's method where no other is given.
        family: ``"CL"``, ``"MIM"`` or ``"other"``; None where the file does not tell.
        normalisation: of images, a name of :data:`lib.adopt.normalisation.NORMALISATIONS`; None
            where the file does not tell.
        prefix: beginnings of the encoder's names, wrappers taken off; the first that fits.
        containers: entries of the file that hold the encoder, the preferred first; any where empty.
        marks: patterns of which each must match a tensor's name.
        absent: patterns that no name may match.
        keys: patterns of which each must match an entry at the top of the file.
        model_types: ``model_type`` of a transformers ``config.json``; such rows fit no other files.
        dropped: beginnings of names that are not the encoder's: other branches, heads, decoders.
        heads: width -> number of attention heads of the published sizes.
        pooling: what makes the representation; None: see :func:`lib.adopt.adopt.pooling_of`.
        source: whose code writes such files.
    """

    name: str
    family: str | None
    normalisation: str | None
    prefix: tuple[str, ...] = ("",)
    containers: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    heads: dict[int, int] = field(default_factory=dict)
    pooling: str | None = None
    source: str = ""


def _transformers(name: str, family: str, prefix: tuple, model_types: tuple, **more) -> Layout:
    """The row of a kind of model of huggingface/transformers, whose folder tells the rest."""
    source = "huggingface/transformers"
    return Layout(
        f"{name} (transformers)",
        family,
        None,
        prefix,
        model_types=model_types,
        source=source,
        **more,
    )


# the first that fits is taken: the most telling come first
LAYOUTS = (
    # folders and files of transformers, by the model_type of config.json
    _transformers("ViT", "other", ("vit.", ""), ("vit",), pooling="class_token"),
    _transformers("DeiT", "other", ("deit.", ""), ("deit",), pooling="class_token"),
    _transformers("MAE", "MIM", ("vit.", ""), ("vit_mae",), dropped=("decoder.",)),
    _transformers("DINOv2", "other", ("dinov2.", "dinov2_with_registers.", ""),
        ("dinov2", "dinov2_with_registers"), pooling="class_token"),
    _transformers("DINOv3", "other", ("dinov3_vit.", "model.", ""), ("dinov3_vit",),
        pooling="class_token"),
    _transformers("I-JEPA", "other", ("ijepa.", ""), ("ijepa",)),
    _transformers("MSN", "CL", ("vit.", ""), ("vit_msn",), pooling="class_token"),
    _transformers("BEiT", "MIM", ("beit.", ""), ("beit",), dropped=("lm_head.",)),
    _transformers("data2vec", "MIM", ("data2vec_vision.", ""), ("data2vec-vision",)),
    _transformers("CLIP", "other", ("vision_model.", ""), ("clip", "clip_vision_model"),
        dropped=("text_model.", "logit_scale", "visual_projection.", "text_projection."),
        pooling="class_token"),
    _transformers("SigLIP", "other", ("vision_model.", ""), ("siglip", "siglip_vision_model"),
        dropped=("text_model.", "logit_")),
    _transformers("ResNet", "other", ("resnet.", ""), ("resnet",)),
    _transformers("ConvNeXt", "other", ("convnext.", "convnextv2.", ""),
        ("convnext", "convnextv2")),
    # official training code
    Layout("MoCo v3", "CL", "imagenet", ("base_encoder.",), marks=(r"^momentum_encoder\.",),
        dropped=("momentum_encoder.", "predictor."), heads={384: 12, 768: 12},
        pooling="class_token", source="facebookresearch/moco-v3"),
    Layout("MoCo v2", "CL", "imagenet", ("encoder_q.",), dropped=("encoder_k.", "queue"),
        source="facebookresearch/moco"),
    Layout("SimSiam", "CL", "imagenet", ("encoder.",), marks=(r"^predictor\.", r"^encoder\.fc\."),
        absent=(r"^encoder\.\d",), dropped=("predictor.",), source="facebookresearch/simsiam"),
    Layout("SwAV", "CL", "imagenet", marks=(r"^prototypes", r"^conv1\."),
        dropped=("prototypes", "projection_head."), source="facebookresearch/swav"),
    Layout("BYOL", "CL", "imagenet", ("online_network.encoder.",),
        dropped=("online_network.", "target_network.", "predictor."), source="yaox12/BYOL-PyTorch"),
    Layout("BYOL", "CL", "imagenet", ("encoder.",), containers=("online_network_state_dict",),
        dropped=("projetion.", "projection."), source="sthalles/PyTorch-BYOL"),
    Layout("SimMIM", "MIM", "imagenet", ("encoder.",),
        marks=(r"^encoder\.mask_token$", r"^decoder\."), dropped=("decoder.",),
        source="microsoft/SimMIM"),
    Layout("MAE", "MIM", "imagenet", marks=(r"^decoder_blocks\.",), dropped=("decoder_",),
        heads={768: 12, 1024: 16, 1280: 16}, source="facebookresearch/mae"),
    Layout("EVA-02", "MIM", "clip", marks=(r"(^|\.)rope\.freqs_cos$",), dropped=("lm_head.",),
        heads=DEIT, source="baaivision/EVA, EVA-02"),
    Layout("data2vec", "MIM", "half", marks=(r"^lm_head\.weight$ square", r"^mask_token$"),
        source="facebookresearch/data2vec_vision"),
    Layout("BEiT", "MIM", "half", marks=(r"^lm_head\.", r"^mask_token$"),
        source="microsoft/unilm, beit"),
    Layout("I-JEPA", "other", "imagenet", containers=("target_encoder", "encoder"),
        absent=(r"^cls_token$",), keys=(r"^predictor$",), heads=DEIT | {1280: 16, 1408: 16},
        source="facebookresearch/ijepa"),
    Layout("MSN", "CL", "imagenet", containers=("target_encoder", "encoder"),
        marks=(r"^cls_token$",), keys=(r"^prototypes$",), heads=DEIT, pooling="class_token",
        source="facebookresearch/msn"),
    Layout("DINOv2", "other", "imagenet", ("backbone.",), containers=("teacher",),
        marks=(r"^ibot_head\.|^backbone\.blocks\.\d+\.\d+\.",),
        dropped=("dino_head.", "ibot_head."), heads={384: 6, 768: 12, 1024: 16, 1536: 24},
        pooling="class_token", source="facebookresearch/dinov2"),
    Layout("iBOT", "other", "imagenet", ("backbone.",), containers=("teacher", "student"),
        keys=(r"^ibot_loss$",), dropped=("head.",), heads=DEIT, pooling="class_token",
        source="bytedance/ibot"),
    Layout("iBOT", "other", "imagenet", ("backbone.",), containers=("student",),
        marks=(r"^backbone\.masked_embed$",), dropped=("head.",), heads=DEIT, pooling="class_token",
        source="bytedance/ibot"),
    Layout("DINO", "CL", "imagenet", ("backbone.",), containers=("teacher", "student"),
        keys=(r"^dino_loss$",), dropped=("head.",), heads=DEIT, pooling="class_token",
        source="facebookresearch/dino"),
    Layout("DINO or iBOT", None, "imagenet", ("backbone.",), containers=("teacher", "student"),
        dropped=("head.",), heads=DEIT, pooling="class_token",
        source="facebookresearch/dino, bytedance/ibot"),
    Layout("DINOv2", "other", "imagenet",
        marks=(r"^mask_token$ flat", r"^pos_embed$", r"\.ls1\.gamma$"),
        heads={384: 6, 768: 12, 1024: 16, 1536: 24}, pooling="class_token",
        source="facebookresearch/dinov2"),
    Layout("DINOv3", "other", "imagenet", marks=(r"^storage_tokens$",),
        heads={384: 6, 768: 12, 1024: 16, 1280: 20, 4096: 32}, pooling="class_token",
        source="facebookresearch/dinov3"),
    Layout("Barlow Twins", "CL", "imagenet", ("backbone.",),
        marks=(r"^projector\.", r"^bn\.running_mean$"), dropped=("projector.", "bn."),
        source="facebookresearch/barlowtwins"),
    Layout("VICReg", "CL", "imagenet", ("backbone.",), containers=("model",),
        marks=(r"^projector\.",), absent=(r"^(momentum_|classifier\.|online_)",),
        dropped=("projector.",), source="facebookresearch/vicreg"),
    Layout("CLIP", "other", "clip", ("visual.",),
        marks=(r"^visual\.class_embedding$", r"^token_embedding\."), dropped=("transformer.",
        "token_embedding.", "positional_embedding", "text_projection", "logit_scale", "ln_final."),
        heads={768: 12, 1024: 16}, pooling="class_token", source="openai/CLIP"),
    Layout("DeiT", "other", "imagenet", marks=(r"^dist_token$", r"^head_dist\."), heads=DEIT,
        pooling="class_token", source="facebookresearch/deit"),
    Layout("DeiT-3", "other", "imagenet",
        marks=(r"^blocks\.0\.gamma_1$", r"^pos_embed$ square grid"),
        absent=(r"relative_position", r"^mask_token$"), heads=DEIT | {512: 8, 1280: 16},
        pooling="class_token", source="facebookresearch/deit, models_v2.py"),
    Layout("ConvNeXt V2", "other", "imagenet", marks=(r"^stages\.0\.0\.grn\.gamma$",),
        source="facebookresearch/ConvNeXt-V2"),
    Layout("torchvision ViT", "other", "imagenet", marks=(r"^conv_proj\.weight$", r"^heads\."),
        heads={768: 12, 1024: 16, 1280: 16}, pooling="class_token", source="pytorch/vision"),
    Layout("torchvision ResNet", "other", "imagenet",
        marks=(r"^layer1\.0\.conv1\.weight$", r"^fc\.weight$ of ImageNet"),
        source="pytorch/vision"),
    # frameworks, where the method is one of many
    Layout("mmpretrain", "other", "imagenet", ("backbone.",), containers=("state_dict",),
        keys=(r"^meta$",), dropped=("neck.", "head.", "target_net.", "target_backbone.",
        "data_preprocessor.", "momentum_encoder.", "queue"), heads={1024: 16, 1280: 16},
        source="open-mmlab/mmpretrain"),
    Layout("solo-learn", "other", "imagenet", ("backbone.",),
        marks=(r"^classifier\.", r"^projector\.|^momentum_"), dropped=("classifier.", "projector.",
        "predictor.", "momentum_", "prototypes", "queue", "knn", "head.", "decoder.", "mask_token"),
        source="vturrisi/solo-learn"),
    Layout("lightly", "other", "imagenet", ("backbone.", "teacher_backbone."),
        marks=(r"^(\w+_)?projection_head\.|^(student|teacher)_head\.",), dropped=("projection_head",
        "prediction_head", "backbone_momentum.", "student_", "teacher_", "criterion.",
        "prototypes.", "online_classifier.", "queue", "memory_bank"), source="lightly-ai/lightly"),
    Layout("backbone", "other", None, ("backbone.",), dropped=("neck.", "head.", "heads.",
        "projector.", "predictor.", "projection_head.", "prediction_head.", "classifier.",
        "online_classifier.", "momentum_", "queue"),
        source="any code that calls its encoder `backbone`"),
    Layout("encoder of a wrapper", "other", None, ("encoder.",),
        marks=(r"^encoder\.(patch_embed\.|conv1\.|stem\.|embeddings\.)",),
        dropped=("predictor.", "projector.", "projection.", "head.", "fc."),
        source="any code that calls its encoder `encoder`"),
    Layout("MAE", "MIM", "imagenet", containers=("model",),
        marks=(r"^pos_embed$ sine-cosine", r"^blocks\.0\.attn\.qkv\.bias$", r"^cls_token$"),
        absent=(r"^(head|fc)\.",), heads={768: 12, 1024: 16, 1280: 16},
        source="facebookresearch/mae, the encoder alone"),
    Layout("plain", "other", None, source="timm, torchvision and whoever keeps their names"),
)  # fmt: skip
