# The same as for Emoji-LT mini on a data set of seconds: it shows that everything works, not more.
_base_ = './faster-rcnn_effnet-lite0_emoji-lt-mini_stage2-bce.py'
