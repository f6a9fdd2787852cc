"""Pictures drawn by code: noise, shapes, textures, scenes, surfaces and products."""
