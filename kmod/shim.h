/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the Rust side sees of C: device-mapper, and static inlines made callable. */
#ifndef DM_REMAP_SHIM_H
#define DM_REMAP_SHIM_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/device-mapper.h>
#include <linux/sched/mm.h>
#include <linux/percpu.h>
#include <linux/workqueue.h>

/* BLK_OPEN_WRITE, which is no plain number in C. */
enum { dm_remap_open_write = 1 << 1 };

/* What bdev_rw_virt() is to do: operations with flags, which are no plain numbers either. */
enum dm_remap_op {
	DM_REMAP_WRITE_DURABLY = 1 | (1 << __REQ_SYNC) | (1 << __REQ_FUA),
};

/*
 * Counts bios that enter and that leave, wherever they leave, in memory of one CPU at a time, and
 * by generation: those that enter belong to the open one, and nobody is waited for but those of the
 * closed one. A bio carries its generation in bi_private. Entering goes together with finding what
 * is kept beside a bio, and leaving with what device-mapper is to be told: each is on the way of
 * every write.
 */
struct dm_remap_gate {
	struct dm_remap_generation __percpu *open;
	struct dm_remap_generation __percpu *closed;
	struct dm_remap_generations __percpu *all;
};

int dm_remap_gate_init(struct dm_remap_gate *gate);
void dm_remap_gate_destroy(struct dm_remap_gate *gate);
void *dm_remap_gate_enter(struct bio *bio, size_t beside, struct dm_remap_gate *gate);
int dm_remap_gate_leave(struct bio *bio);
/* Opens the closed generation and closes the open one. One caller at a time. */
void dm_remap_gate_turn(struct dm_remap_gate *gate);
/* How many bios of the closed generation entered, and left, since it was made. */
unsigned long dm_remap_gate_closed_entered(struct dm_remap_gate *gate);
unsigned long dm_remap_gate_closed_left(struct dm_remap_gate *gate);
/* Sleeps for a moment between two looks at the counts. */
void dm_remap_gate_wait(void);

/*
 * A queue with a thread kept for it, and on it a piece of work and a timer, neither of which
 * waits for the other.
 */
struct dm_remap_worker {
	struct workqueue_struct *queue;
	struct work_struct work;
	struct delayed_work timer;
	void (*on_work)(void *data);
	void (*on_timer)(void *data);
	void *data;
};

int dm_remap_worker_start(struct dm_remap_worker *worker, const char *name,
			  void (*on_work)(void *data), void (*on_timer)(void *data),
			  void *data);
void dm_remap_worker_kick(struct dm_remap_worker *worker);
void dm_remap_worker_after(struct dm_remap_worker *worker, unsigned int milliseconds);
void dm_remap_worker_rest(struct dm_remap_worker *worker);
void dm_remap_worker_destroy(struct dm_remap_worker *worker);

int dm_remap_bio_clone(struct bio *part, struct block_device *bdev, struct bio *bio,
		       const struct bvec_iter *whole, unsigned int skip, bool durable);
/* Gives what a map callback returns for a bio that goes on. */
int dm_remap_bio_set_dev(struct bio *bio, struct block_device *bdev);
bool dm_remap_bdev_read_only(struct block_device *bdev);
bool dm_remap_bdev_takes_discards(struct block_device *bdev);
unsigned int dm_remap_bdev_logical_block_size(struct block_device *bdev);
unsigned int dm_remap_bdev_physical_block_size(struct block_device *bdev);
void dm_remap_limits_like(struct queue_limits *limits, struct block_device *bdev);
unsigned int dm_remap_memalloc_noio_save(void);
void dm_remap_memalloc_noio_restore(unsigned int flags);
void dm_remap_smp_mb(void);

#endif
