"""Data: files of video with boxes in, `tf.data` of `(ClipBatch, GroundTruth)` out.

`sources` says what a data set is, `readers` open what people have, `problems` and `clean_boxes`
decide about what is wrong with it, `convert` makes records of it on one machine, `beam_convert` on
many, and `inspect`, `validate`, `split` and `synthesize` are the other verbs of `lstd-data`.
`sequence_example` is the format of a record, `record_files` and `record_frames` find and read them,
`walk` goes through a video clip by clip, `dealing` and `lanes` give each place of a batch one video
after the other, `augment` changes clips, and `pipeline` ties these into a dataset.
"""
