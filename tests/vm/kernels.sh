#!/bin/bash
# Which kernels the module is tried on, and which tests each is given; scripts source it.

# Suites of Debian's whose kernels are taken as they are, that with the most tests first.
# shellcheck disable=SC2034
stock_kernels=(trixie-backports trixie bookworm)
# Those whose packages change every day, and are at times not to be had together.
# shellcheck disable=SC2034
changing_kernels=(sid)

# The guests of a kernel: most tests are shared out between those named by a fraction, one has two
# processors, one has disks that outlive it.
#   machines KERNEL
machines() {
    case $1 in
        debug) echo 1/2 2/2 two-processors short-of-memory ;;
        bookworm | sid) echo 1/1 two-processors resets ;;
        *) echo 1/2 2/2 two-processors resets ;;
    esac
}

# The tests that a kernel is given, by how their names begin; all of them where it says nothing. The
# object is the same on each: what may differ is how bios come and go, what device-mapper and the
# disks below make of them, memory, and locks.
#   only KERNEL
only() {
    case $1 in
        bookworm | sid)
            echo module-,table-line-,both-devices-,messages-,answers-,pass-through-,length-,two-targets-,partition-,flush,discards-,the-kind-of-,requests-,read-only-,suspend-,writes-to-,lost-blocks-,damaged-,blocks-are-moved-,injected-,a-dead-,power-cuts-,file-system-,thin-,two-processors-,resets-,a-hundred-thousand-,ten-thousand-remaps,memory-runs-
            ;;
    esac
}

# The tests that a guest leaves out, by how their names begin.
#   without KERNEL MACHINE
without() {
    case $1:$2 in
        *:short-of-memory) ;;
        # That kernel has no file systems, no thin volumes and no disks that outlive a reset. Where memory
        # is short kmemleak asks for some with each request, and reclaims in vain; a guest without it
        # takes that test.
        debug:*) echo application-,file-system-,thin-,memory-runs-short ;;
        # What the application says to device-mapper, and what the rules make of thousands of spares, is the
        # same on every kernel. The null device of 6.12 has no word for rotating disks, and two tests count
        # accesses of which that kernel has more.
        trixie:*)
            echo fault-injection-,application-,ten-thousand-,every-subset-,read-geometry,write-geometry,the-kind-of-
            ;;
        # The null device of 6.1 knows no FUA, fails no range of so many sectors and cannot die; a device that
        # is not there has another error number.
        bookworm:*) echo fault-injection-,table-line-refusals,flush,the-kind-of-,a-dead-,power-cuts-,file-system-,a-hundred-thousand- ;;
        # Only the kernel of --debug can be told to refuse memory.
        *) echo fault-injection- ;;
    esac
}
