// SPDX-License-Identifier: GPL-2.0-or-later
/* Block devices that a target holds, and what the engine reads and writes there. */
#include "glue.h"

int dm_remap_device_open(struct dm_target *ti, const char *path, struct dm_dev **device)
{
	return dm_get_device(ti, path, dm_table_get_mode(ti->table), device);
}

void dm_remap_device_put(struct dm_target *ti, struct dm_dev *device)
{
	dm_put_device(ti, device);
}

const char *dm_remap_device_name(struct dm_dev *device)
{
	return device->name;
}

struct block_device *dm_remap_device_bdev(struct dm_dev *device)
{
	return device->bdev;
}

u64 dm_remap_bdev_sectors(struct block_device *bdev)
{
	return bdev_nr_sectors(bdev);
}

bool dm_remap_bdev_read_only(struct block_device *bdev)
{
	return bdev_read_only(bdev);
}

bool dm_remap_bdev_takes_discards(struct block_device *bdev)
{
	return bdev_max_discard_sectors(bdev) > 0;
}

unsigned int dm_remap_bdev_logical_block_size(struct block_device *bdev)
{
	return bdev_logical_block_size(bdev);
}

unsigned int dm_remap_bdev_physical_block_size(struct block_device *bdev)
{
	return bdev_physical_block_size(bdev);
}

/*
 * Reads or writes, and waits for it, as bdev_rw_virt() of 6.16 and later. @data is in the direct
 * mapping, where its pages lie one after the other. Allocates nothing.
 */
int dm_remap_bdev_rw(struct block_device *bdev, u64 sector, void *data, size_t length,
		     unsigned int op)
{
	blk_opf_t flags = op == DM_REMAP_READ ? REQ_OP_READ : REQ_OP_WRITE | REQ_SYNC | REQ_FUA;
	struct bio_vec vector;
	struct bio bio;
	int error;

	bio_init(&bio, bdev, &vector, 1, flags);
	bio.bi_iter.bi_sector = sector;
	__bio_add_page(&bio, virt_to_page(data), length, offset_in_page(data));
	error = submit_bio_wait(&bio);
	bio_uninit(&bio);
	return error;
}

int dm_remap_bdev_flush(struct block_device *bdev)
{
	return blkdev_issue_flush(bdev);
}
