/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every difference between kernels, and the oldest that there is one for. */
#ifndef DM_REMAP_KERNELS_H
#define DM_REMAP_KERNELS_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "dm-remap-v4 takes a kernel of 6.1 or newer"
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 5, 0)
#define BLK_OPEN_WRITE FMODE_WRITE
#endif

/* Older kernels ask each device whether it rotates, and the target has no say in it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 11, 0)
#define DM_REMAP_LIMITS_HAVE_FEATURES
#endif

/* prepare_ioctl has since learnt more of the ioctl, none of which the target wants to know. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define DM_REMAP_OF_IOCTL , unsigned int command, unsigned long argument, bool *forward
#else
#define DM_REMAP_OF_IOCTL
#endif

#endif
