"""Data: files of video with boxes in, `tf.data` of `(ClipBatch, GroundTruth)` out.

`sources` says what a data set is, `readers` open what people have, `problems`, `clean_boxes` and
`source_checks` decide about what is wrong with it, `convert` makes records of it on one machine,
`beam_convert` on many, and `inspect`, `validate`, `split` and `synthesize` are the other verbs of
`lstd-data`. `sequence_example` is the format of a record, `record_files` and `record_frames` find
and read them, `checked_video` gives the frames of a video by number, `clip_streams` gives each
place of a batch one video after the other, clip by clip, `augment` changes clips, and `pipeline`
ties these into a dataset.
"""
