/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the Rust side sees of C: device-mapper, and static inlines made callable. */
#ifndef DM_REMAP_SHIM_H
#define DM_REMAP_SHIM_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/sched/mm.h>

/* BLK_OPEN_WRITE, which is no plain number in C. */
enum { dm_remap_open_write = 1 << 1 };

void dm_remap_bio_set_dev(struct bio *bio, struct block_device *bdev);
bool dm_remap_bdev_read_only(struct block_device *bdev);
unsigned int dm_remap_bdev_logical_block_size(struct block_device *bdev);
unsigned int dm_remap_memalloc_noio_save(void);
void dm_remap_memalloc_noio_restore(unsigned int flags);

#endif
