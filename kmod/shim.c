// SPDX-License-Identifier: GPL-2.0-or-later
/* The kernel's static inlines that the Rust side calls. No policy is here. */
#include <linux/delay.h>
#include "shim.h"

static_assert((__force unsigned int)BLK_OPEN_WRITE == dm_remap_open_write);
static_assert((__force unsigned int)(REQ_OP_WRITE | REQ_SYNC | REQ_FUA) == DM_REMAP_WRITE_DURABLY);

int dm_remap_bio_set_dev(struct bio *bio, struct block_device *bdev)
{
	bio_set_dev(bio, bdev);
	return DM_MAPIO_REMAPPED;
}

/* Makes a clone of what a bio carried, from @skip bytes on, that can be waited for. */
int dm_remap_bio_clone(struct bio *part, struct block_device *bdev, struct bio *bio,
		       const struct bvec_iter *whole, unsigned int skip, bool durable)
{
	int error = bio_init_clone(bdev, part, bio, GFP_NOIO);

	if (error)
		return error;
	/*
	 * A bio that came back from a partition counts as shifted to its disk already, and a
	 * clone for the same partition inherits that. Its sector is the partition's, though:
	 * unshifted it would go to the beginning of the disk.
	 */
	bio_clear_flag(part, BIO_REMAPPED);
	part->bi_iter = *whole;
	bio_advance(part, skip);
	/*
	 * Whoever polls for the bio does not poll for this; and drivers give up early on what
	 * may fail fast, which says nothing of the medium.
	 */
	part->bi_opf &= ~(REQ_NOWAIT | REQ_RAHEAD | REQ_POLLED | REQ_FAILFAST_MASK);
	if (durable)
		part->bi_opf |= REQ_FUA;
	return 0;
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

/* Nearly every block is on @bdev: what lies beside it must not make it a slow disk. */
void dm_remap_limits_like(struct queue_limits *limits, struct block_device *bdev)
{
	const struct queue_limits *own = &bdev_get_queue(bdev)->limits;

	if (!(own->features & BLK_FEAT_ROTATIONAL))
		limits->features &= ~BLK_FEAT_ROTATIONAL;
	limits->io_opt = own->io_opt;
}

unsigned int dm_remap_memalloc_noio_save(void)
{
	return memalloc_noio_save();
}

void dm_remap_memalloc_noio_restore(unsigned int flags)
{
	memalloc_noio_restore(flags);
}

void dm_remap_smp_mb(void)
{
	smp_mb();
}

/* Counts of the bios of one generation. */
struct dm_remap_generation {
	unsigned long entered;
	unsigned long left;
};

struct dm_remap_generations {
	struct dm_remap_generation of[2];
};

int dm_remap_gate_init(struct dm_remap_gate *gate)
{
	gate->all = alloc_percpu(struct dm_remap_generations);
	if (!gate->all)
		return -ENOMEM;
	gate->open = &gate->all->of[0];
	gate->closed = &gate->all->of[1];
	return 0;
}

void dm_remap_gate_destroy(struct dm_remap_gate *gate)
{
	free_percpu(gate->all);
}

void *dm_remap_gate_enter(struct bio *bio, size_t beside, struct dm_remap_gate *gate)
{
	struct dm_remap_generation __percpu *generation = READ_ONCE(gate->open);

	this_cpu_inc(generation->entered);
	/* Device-mapper leaves this field of its clones to targets, drivers below to whoever sent the bio. */
	bio->bi_private = (void *)(__force unsigned long)generation;
	return dm_per_bio_data(bio, beside);
}

int dm_remap_gate_leave(struct bio *bio)
{
	struct dm_remap_generation __percpu *generation =
		(struct dm_remap_generation __percpu *)(__force unsigned long)bio->bi_private;

	/* Whoever sees that it left sees that it had entered. */
	smp_wmb();
	this_cpu_inc(generation->left);
	return DM_ENDIO_DONE;
}

void dm_remap_gate_turn(struct dm_remap_gate *gate)
{
	struct dm_remap_generation __percpu *before = gate->open;

	WRITE_ONCE(gate->open, gate->closed);
	gate->closed = before;
}

unsigned long dm_remap_gate_closed_entered(struct dm_remap_gate *gate)
{
	unsigned long entered = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		entered += READ_ONCE(per_cpu_ptr(gate->closed, cpu)->entered);
	return entered;
}

unsigned long dm_remap_gate_closed_left(struct dm_remap_gate *gate)
{
	unsigned long left = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		left += READ_ONCE(per_cpu_ptr(gate->closed, cpu)->left);
	return left;
}

void dm_remap_gate_wait(void)
{
	usleep_range(50, 500);
}

static void dm_remap_on_work(struct work_struct *work)
{
	struct dm_remap_worker *worker = container_of(work, struct dm_remap_worker, work);

	worker->on_work(worker->data);
}

static void dm_remap_on_timer(struct work_struct *work)
{
	struct dm_remap_worker *worker =
		container_of(to_delayed_work(work), struct dm_remap_worker, timer);

	worker->on_timer(worker->data);
}

int dm_remap_worker_start(struct dm_remap_worker *worker, const char *name,
			  void (*on_work)(void *data), void (*on_timer)(void *data),
			  void *data)
{
	INIT_WORK(&worker->work, dm_remap_on_work);
	INIT_DELAYED_WORK(&worker->timer, dm_remap_on_timer);
	worker->on_work = on_work;
	worker->on_timer = on_timer;
	worker->data = data;
	worker->queue = alloc_workqueue("%s", WQ_MEM_RECLAIM | WQ_UNBOUND, 0, name);
	return worker->queue ? 0 : -ENOMEM;
}

void dm_remap_worker_kick(struct dm_remap_worker *worker)
{
	queue_work(worker->queue, &worker->work);
}

void dm_remap_worker_after(struct dm_remap_worker *worker, unsigned int milliseconds)
{
	mod_delayed_work(worker->queue, &worker->timer, msecs_to_jiffies(milliseconds));
}

void dm_remap_worker_rest(struct dm_remap_worker *worker)
{
	cancel_delayed_work_sync(&worker->timer);
	flush_work(&worker->work);
}

void dm_remap_worker_destroy(struct dm_remap_worker *worker)
{
	destroy_workqueue(worker->queue);
}
