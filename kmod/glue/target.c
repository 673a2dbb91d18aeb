// SPDX-License-Identifier: GPL-2.0-or-later
/* Callbacks of device-mapper, and what a target asks of its table. */
#include <linux/module.h>
#include <linux/slab.h>

#include "glue.h"

/* What a target is to device-mapper. */
struct dm_remap_joined {
	void *target;
	struct dm_remap_gate *gate;
};

static void *dm_remap_target_of(struct dm_target *ti)
{
	struct dm_remap_joined *joined = ti->private;

	return joined->target;
}

static int dm_remap_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_remap_joined *joined = kzalloc(sizeof(*joined), GFP_KERNEL);
	int error;

	if (!joined) {
		ti->error = "Out of memory";
		return -ENOMEM;
	}
	ti->private = joined;
	error = dm_remap_rs_ctr(ti, argc, argv);
	if (error)
		kfree(joined);
	return error;
}

static void dm_remap_dtr(struct dm_target *ti)
{
	dm_remap_rs_dtr(dm_remap_target_of(ti));
	kfree(ti->private);
}

static int dm_remap_map(struct dm_target *ti, struct bio *bio)
{
	struct dm_remap_joined *joined = ti->private;
	struct dm_remap_beside *beside = dm_per_bio_data(bio, sizeof(*beside));
	struct dm_remap_answer answer;

	beside->part = bio->bi_iter;
	/* One store for both: the stage of what is sent, 0, is in the upper half. */
	beside->op_of_new = (__force u32)bio->bi_opf;
	/* A write enters before anything is decided about it. */
	if (op_is_write(bio->bi_opf))
		dm_remap_enter(joined->gate, bio);
	answer = dm_remap_rs_map(joined->target, bio, beside);
	if (unlikely(!answer.bdev))
		return answer.at;
	bio_set_dev(bio, answer.bdev);
	bio->bi_iter.bi_sector = answer.at;
	return DM_MAPIO_REMAPPED;
}

/* Apart, so that what ends well saves no registers. */
static noinline int dm_remap_end_failed(struct dm_target *ti, struct bio *bio, blk_status_t status)
{
	struct dm_remap_beside *beside = dm_per_bio_data(bio, sizeof(*beside));

	return dm_remap_rs_end_io(dm_remap_target_of(ti), bio, beside, (__force unsigned int)status);
}

static int dm_remap_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *status)
{
	if (unlikely(*status))
		return dm_remap_end_failed(ti, bio, *status);
	/* What ended well ends as it is, and leaves the gate that it entered. */
	if (op_is_write(bio->bi_opf))
		dm_remap_leave(bio);
	return DM_ENDIO_DONE;
}

static void dm_remap_presuspend(struct dm_target *ti)
{
	dm_remap_rs_presuspend(dm_remap_target_of(ti));
}

static void dm_remap_presuspend_undo(struct dm_target *ti)
{
	dm_remap_rs_presuspend_undo(dm_remap_target_of(ti));
}

static void dm_remap_postsuspend(struct dm_target *ti)
{
	dm_remap_rs_postsuspend(dm_remap_target_of(ti));
}

static int dm_remap_preresume(struct dm_target *ti)
{
	return dm_remap_rs_preresume(dm_remap_target_of(ti));
}

static void dm_remap_resume(struct dm_target *ti)
{
	dm_remap_rs_resume(dm_remap_target_of(ti));
}

static void dm_remap_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			    char *result, unsigned int length)
{
	int kind = type == STATUSTYPE_TABLE ? DM_REMAP_TABLE :
		   type == STATUSTYPE_INFO ? DM_REMAP_STATUS : DM_REMAP_MEASUREMENT;

	dm_remap_rs_status(dm_remap_target_of(ti), kind, result, length);
}

static int dm_remap_message(struct dm_target *ti, unsigned int argc, char **argv, char *result,
			    unsigned int length)
{
	return dm_remap_rs_message(dm_remap_target_of(ti), argc, argv, result, length);
}

static int dm_remap_prepare_ioctl(struct dm_target *ti, struct block_device **bdev DM_REMAP_OF_IOCTL)
{
	*bdev = dm_remap_rs_largest_device(dm_remap_target_of(ti));
	/* As for a part of a disk: whoever asks must be allowed raw I/O. */
	return 1;
}

static int dm_remap_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
				    void *data)
{
	/* The Rust side hands it back to dm_remap_target_tell unread. */
	return fn ? dm_remap_rs_iterate_devices(ti, dm_remap_target_of(ti), (void *)fn, data) : 0;
}

static void dm_remap_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	void *target = dm_remap_target_of(ti);
	unsigned int unit = dm_remap_rs_logical_block_bytes(target);
	/* Nearly every block is on it: what lies beside it must not make it a slow disk. */
	struct block_device *largest = dm_remap_rs_largest_device(target);
	const struct queue_limits *own = &bdev_get_queue(largest)->limits;

	limits->logical_block_size = max(limits->logical_block_size, unit);
	limits->physical_block_size =
		max(limits->physical_block_size, limits->logical_block_size);
	limits->io_min = max(limits->io_min, limits->physical_block_size);
	limits->io_opt = own->io_opt;
#ifdef DM_REMAP_LIMITS_HAVE_FEATURES
	if (!(own->features & BLK_FEAT_ROTATIONAL))
		limits->features &= ~BLK_FEAT_ROTATIONAL;
#endif
}

static struct target_type dm_remap_type = {
	.features = DM_TARGET_NOWAIT,
	.module = THIS_MODULE,
	.ctr = dm_remap_ctr,
	.dtr = dm_remap_dtr,
	.map = dm_remap_map,
	.end_io = dm_remap_end_io,
	.presuspend = dm_remap_presuspend,
	.presuspend_undo = dm_remap_presuspend_undo,
	.postsuspend = dm_remap_postsuspend,
	.preresume = dm_remap_preresume,
	.resume = dm_remap_resume,
	.status = dm_remap_status,
	.message = dm_remap_message,
	.prepare_ioctl = dm_remap_prepare_ioctl,
	.iterate_devices = dm_remap_iterate_devices,
	.io_hints = dm_remap_io_hints,
};

int dm_remap_register(const char *name, const unsigned int *version)
{
	dm_remap_type.name = name;
	memcpy(dm_remap_type.version, version, sizeof(dm_remap_type.version));
	return dm_register_target(&dm_remap_type);
}

void dm_remap_unregister(void)
{
	dm_unregister_target(&dm_remap_type);
}

void dm_remap_target_made(struct dm_target *ti, void *target, struct dm_remap_gate *gate,
			  unsigned int flushes, bool discards)
{
	struct dm_remap_joined *joined = ti->private;

	joined->target = target;
	joined->gate = gate;
	ti->num_flush_bios = flushes;
	ti->num_discard_bios = discards;
	ti->discards_supported = discards;
	ti->per_io_data_size = sizeof(struct dm_remap_beside);
}

void dm_remap_target_refused(struct dm_target *ti, const char *why)
{
	/* It is only printed. */
	ti->error = (char *)why;
}

u64 dm_remap_target_begin(struct dm_target *ti)
{
	return ti->begin;
}

u64 dm_remap_target_length(struct dm_target *ti)
{
	return ti->len;
}

void *dm_remap_target_table(struct dm_target *ti)
{
	return ti->table;
}

void *dm_remap_target_mapped(struct dm_target *ti)
{
	return dm_table_get_md(ti->table);
}

bool dm_remap_target_is_read_only(struct dm_target *ti)
{
	return !(dm_table_get_mode(ti->table) & BLK_OPEN_WRITE);
}

const char *dm_remap_target_number(struct dm_target *ti)
{
	return dm_device_name(dm_table_get_md(ti->table));
}

/* @name has DM_NAME_LEN bytes. */
int dm_remap_target_name(struct dm_target *ti, char *name)
{
	return dm_copy_name_and_uuid(dm_table_get_md(ti->table), name, NULL);
}

void dm_remap_target_event(struct dm_target *ti)
{
	dm_table_event(ti->table);
}

int dm_remap_target_tell(struct dm_target *ti, void *callout, void *context,
			 struct dm_dev *device, u64 length)
{
	iterate_devices_callout_fn fn = callout;

	return fn(ti, device, 0, length, context);
}
