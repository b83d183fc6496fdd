"""Data: files of video with boxes in, `tf.data` of `(ClipBatch, GroundTruth)` out.

`sources` says what a data set is, `readers` open what people have, `problems` and `clean_boxes`
decide about what is wrong with it, `conversion` makes records of it (`convert` on one machine,
`beam_convert` on many), and `inspect`, `validate`, `split` and `synthesize` are the other verbs of
`lstd-data`. `sequence_example` is the format of a record, `record_files` finds and reads them,
`lanes` walks through their videos clip by clip, `augment` changes clips, and `pipeline` ties these
into a dataset.
"""
