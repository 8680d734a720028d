"""Jobs: asked for, placed on devices, executed as attempts, supervised, ended, tried again."""
