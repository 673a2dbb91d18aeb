/*
 * Finds libclang as the crate clang-sys 1 does, loads it, and has it read a header as the crate
 * bindgen does: what the bindings to libdevmapper and libblkid are generated with.
 *
 *   libclang HEADER [ARGUMENT OF CLANG]...
 *
 * Says on stderr what stands against it, and ends with 0 where nothing does. NEEDS_ROOT names a
 * folder that is searched in place of the system's own ones, for tests.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fnmatch.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of preference, which counts where versions are alike. */
static const char *const FOLDERS[] = {
	"/usr/local/llvm*/lib*", "/usr/local/lib*/*/*", "/usr/local/lib*/*", "/usr/local/lib*",
	"/usr/lib*/*/*", "/usr/lib*/*", "/usr/lib*",
};
static const char *const NAMES[] = {
	"libclang.so", "libclang-*.so", "libclang.so.*", "libclang-*.so.*",
};

#define PARTS 8
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The one to be loaded, empty without one, and its version. */
static char best[PATH_MAX];
static int best_version[PARTS];

/* The version that a file's name tells; a part that is not there is less than any. */
static void version_of(const char *name, int version[PARTS])
{
	char text[NAME_MAX + 1] = "", *part, *rest = text;
	size_t length = strlen(name);

	memset(version, -1, PARTS * sizeof *version);
	if (!strncmp(name, "libclang.so.", 12))
		snprintf(text, sizeof text, "%s", name + 12);
	else if (!strncmp(name, "libclang-", 9) && length > 12)
		snprintf(text, sizeof text, "%.*s", (int)(length - 12), name + 9);
	for (int i = 0; i < PARTS && *text && (part = strsep(&rest, ".")); i++)
		version[i] = *part && strspn(part, "0123456789") == strlen(part) ? atoi(part) : 0;
}

/* Whether a file is a program or library of this machine's word size. */
static int fits(const char *path)
{
	const char magic[5] = { 127, 'E', 'L', 'F', sizeof(void *) == 8 ? 2 : 1 };
	char head[5];
	FILE *file = fopen(path, "rb");
	int good = file && fread(head, 1, sizeof head, file) == sizeof head &&
		!memcmp(head, magic, sizeof head);

	if (!good)
		fprintf(stderr, "%s: %s\n", path, file ? "no library of this machine's" : "cannot be read");
	if (file)
		fclose(file);
	return good;
}

/* The library of one name; a newer one is better. */
static void consider(const char *folder, const char *name)
{
	char path[PATH_MAX];
	int version[PARTS], i = 0;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	if (!fits(path))
		return;
	version_of(name, version);
	while (i < PARTS - 1 && version[i] == best_version[i])
		i++;
	if (*best && version[i] <= best_version[i])
		return;
	strcpy(best, path);
	memcpy(best_version, version, sizeof version);
}

/*
 * The libraries of a folder, or of those only the one that is called `only`. The one of C++ has
 * a name alike and is another.
 */
static int search(const char *folder, const char *only)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, NULL, alphasort), seen = 0;

	for (size_t n = 0; n < COUNT(NAMES); n++)
		for (int i = 0; i < count; i++)
			if (!fnmatch(NAMES[n], entries[i]->d_name, 0) &&
			    !strstr(entries[i]->d_name, "-cpp.") &&
			    (!only || !strcmp(only, entries[i]->d_name))) {
				consider(folder, entries[i]->d_name);
				seen = 1;
			}
	return seen;
}

/* The folders of a list with colons between them. */
static void search_list(const char *list)
{
	char *copy = list ? strdup(list) : NULL, *rest = copy, *folder;

	while ((folder = strsep(&rest, ":")))
		search(*folder ? folder : ".", NULL);
	free(copy);
}

/* Where the program llvm-config says that it was installed. */
static void search_prefix(void)
{
	static const char *const parts[] = { "bin", "lib", "lib64" };
	char prefix[PATH_MAX - 16], folder[PATH_MAX];
	FILE *said = popen("\"${LLVM_CONFIG_PATH:-llvm-config}\" --prefix 2>/dev/null", "r");

	if (said && fgets(prefix, sizeof prefix, said)) {
		prefix[strcspn(prefix, "\n")] = 0;
		for (size_t i = 0; i < COUNT(parts); i++) {
			snprintf(folder, sizeof folder, "%s/%s", prefix, parts[i]);
			search(folder, NULL);
		}
	}
	if (said)
		pclose(said);
}

static void search_system(void)
{
	const char *root = getenv("NEEDS_ROOT");
	char pattern[PATH_MAX];
	glob_t found;

	for (size_t i = 0; i < COUNT(FOLDERS); i++) {
		snprintf(pattern, sizeof pattern, "%s%s", root ? root : "", FOLDERS[i]);
		if (!glob(pattern, 0, NULL, &found)) {
			for (size_t j = 0; j < found.gl_pathc; j++)
				search(found.gl_pathv[j], NULL);
			globfree(&found);
		}
	}
}

static void find(void)
{
	const char *path = getenv("LIBCLANG_PATH");
	char *folder, *slash;

	if (!path) {
		search_prefix();
		search_list(getenv("LD_LIBRARY_PATH"));
		search_list(getenv("LIBRARY_PATH"));
		search_system();
		return;
	}
	folder = strdup(path);
	slash = strrchr(folder, '/');
	/* A file or a folder of libraries; the folder that a file is in does not count. */
	if (slash)
		*slash = 0;
	if (!search(slash ? (*folder ? folder : "/") : ".", slash ? slash + 1 : path))
		search(path, NULL);
	free(folder);
}

struct string {
	const void *data;
	unsigned flags;
};

/* The library's function of a name, which is ended without. */
static void *function(void *library, const char *name)
{
	void *address = dlsym(library, name);

	if (!address) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	return address;
}

/* Has the library read a header; whether it had nothing against it. */
static int read_header(void *library, const char *header, const char *const *arguments, int count)
{
	void *(*create)(int, int) = function(library, "clang_createIndex");
	void *(*parse)(void *, const char *, const char *const *, int, void *, unsigned, unsigned) =
		function(library, "clang_parseTranslationUnit");
	unsigned (*number)(void *) = function(library, "clang_getNumDiagnostics");
	void *(*get)(void *, unsigned) = function(library, "clang_getDiagnostic");
	int (*severity)(void *) = function(library, "clang_getDiagnosticSeverity");
	struct string (*format)(void *, unsigned) = function(library, "clang_formatDiagnostic");
	const char *(*text)(struct string) = function(library, "clang_getCString");
	const int error = 3;
	void *unit = parse(create(0, 0), header, arguments, count, NULL, 0, 0);
	int good = unit != NULL;

	for (unsigned i = 0; unit && i < number(unit); i++)
		if (severity(get(unit, i)) >= error) {
			fprintf(stderr, "%s reads: %s\n", best, text(format(get(unit, i), 1)));
			good = 0;
		}
	return good;
}

int main(int count, char **words)
{
	void *library;

	find();
	if (count < 2 || !*best) {
		fprintf(stderr, "no libclang.so, libclang-*.so, libclang.so.* or libclang-*.so.* %s%s\n",
			getenv("LIBCLANG_PATH") ? "in " : "in the system's folders",
			getenv("LIBCLANG_PATH") ? getenv("LIBCLANG_PATH") : "");
		return 1;
	}
	library = dlopen(best, RTLD_LAZY | RTLD_LOCAL);
	if (!library) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	return !read_header(library, words[1], (const char *const *)words + 2, count - 2);
}
