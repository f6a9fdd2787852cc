"""Pictures that pairs are made of: photographs, COCO, masked folders and texture folders, cut into crops."""
