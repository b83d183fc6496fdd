"""Data: files of video with boxes in, `tf.data` of `(ClipBatch, GroundTruth)` out.

`sources` says what a data set is, `readers` open what people have, `problems`, `clean_boxes` and
`source_checks` decide about what is wrong with it, and the verbs of `lstd-data` are `convert`,
`inspect` and `synthesize`. `sequence_example` writes a record, `record_files` finds records and
`record_content` reads them, `checked_video` gives the frames of a video by number, `clip_streams`
gives each place of a batch one video after the other, clip by clip, `augment` changes clips, and
`pipeline` ties these into a dataset.
"""
