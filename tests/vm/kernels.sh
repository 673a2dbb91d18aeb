#!/bin/bash
# Which kernels the module is tried on, and which tests each is given; scripts source it.

# Suites of Debian's whose kernels are taken as they are, that with the most tests first.
# shellcheck disable=SC2034
stock_kernels=(trixie-backports trixie bookworm sid)
# Those whose packages change every day, and are at times not to be had together.
# shellcheck disable=SC2034
changing_kernels=(sid)

# The guests of a kernel: most tests are shared out between those named by a fraction, one has two
# processors, one has disks that outlive it.
#   machines KERNEL
machines() {
    case $1 in
        debug) echo 1/2 2/2 two-processors short-of-memory ;;
        *) echo 1/2 2/2 two-processors resets ;;
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
        # Only the kernel of --debug can be told to refuse memory.
        *) echo fault-injection- ;;
    esac
}
