// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's static inlines that the Rust side calls. No policy is here. */
#include "shim.h"

static_assert((__force unsigned int)BLK_OPEN_WRITE == dm_remap_open_write);

void dm_remap_bio_set_dev(struct bio *bio, struct block_device *bdev)
{
	bio_set_dev(bio, bdev);
}

bool dm_remap_bdev_read_only(struct block_device *bdev)
{
	return bdev_read_only(bdev);
}

unsigned int dm_remap_bdev_logical_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}

unsigned int dm_remap_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

void dm_remap_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}
