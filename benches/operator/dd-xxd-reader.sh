#!/bin/bash
# Reads the fields of plain v4 from each image the way shell tools do it: one dd and one
# xxd for each field. It is what `scan` is measured against, and nothing else uses it.
field() { # image sector offset length
    dd if="$1" bs=512 skip="$2" count=1 2>/dev/null | xxd -p -s "$3" -l "$4" -c 256
}
for image in "$@"; do
    line=$image
    for sector in 0 1024 2048 4096 8192; do
        for place in "0 4" "4 4" "8 8" "24 4" "28 4"; do
            # shellcheck disable=SC2086
            line+=" $(field "$image" "$sector" $place)"
        done
    done
    for place in "16 8" "114 8" "122 8" "144 128" "272 128"; do
        # shellcheck disable=SC2086
        line+=" $(field "$image" 0 $place)"
    done
    echo "$line"
done
