"""Where pictures come from, one file for each kind of source.

    catalogue       what is known of the published sets: files, checksums, addresses (light)
    picture         a picture with its name and digest; image files are read and checked here
    png_chunks      whether a PNG file is whole
    picture_set     what every source can do: count its pictures, and read those at given positions
    files           packaged samples, a file, a folder, a glob
    cifar10         CIFAR-10 in both of its layouts; batch_pickle reads the Python one
    kodak           Kodak's 24 photographs
    subset          which of a set's pictures are taken
    download        gets published sets, checked; unpack takes files out of their archives

`testbed.images` is the door to them.
"""
