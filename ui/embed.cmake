# Writes the C file that puts the console into the binary: all files of DIST/manifest.json, each with
# its brotli form where it has one. Without a manifest the table is empty: the gateway then says that
# it was built without a console. Run by the build:
#
#     cmake -DDIST=... -DOUT=... -P embed.cmake
cmake_minimum_required(VERSION 3.25)

# The assembler takes the bytes as they are: as C text they would compile for seconds.
set(head [=[
/* Made by ui/embed.cmake. */
#include "admin/assets.h"

#define TEXT(text) {text, sizeof text - 1}
#define FILE_BYTES(name, path)                                                                     \
    __asm__(".pushsection .rodata\n.balign 16\n.global gate_ui_" #name "\n.hidden gate_ui_" #name  \
            "\ngate_ui_" #name ":\n.incbin \"" path "\"\n.popsection\n");                          \
    extern const char gate_ui_##name[];

]=])
set(files "")
set(rows "")
set(count 0)

# What the manifest says goes into C strings and file names.
function(check what value pattern)
  if(NOT value MATCHES "^${pattern}$")
    message(FATAL_ERROR "${DIST}/manifest.json: ${what} is \"${value}\"")
  endif()
endfunction()

if(EXISTS "${DIST}/manifest.json")
  file(READ "${DIST}/manifest.json" manifest)
  string(JSON count LENGTH "${manifest}" files)
endif()
set(i 0)
while(i LESS count)
  foreach(member path type sha256 hashed)
    string(JSON ${member} GET "${manifest}" files ${i} ${member})
  endforeach()
  check(path "${path}" "[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
  check(type "${type}" "[a-z]+/[a-z0-9.+-]+(; charset=utf-8)?")
  check(sha256 "${sha256}" "[0-9a-f]+")
  file(SHA256 "${DIST}/${path}" found)
  if(NOT found STREQUAL sha256)
    message(FATAL_ERROR "${DIST}/${path} is not the file that manifest.json names")
  endif()
  file(SIZE "${DIST}/${path}" size)
  string(APPEND files "FILE_BYTES(raw_${i}, \"${DIST}/${path}\")\n")
  set(br "{NULL, 0}")
  if(EXISTS "${DIST}/${path}.br")
    file(SIZE "${DIST}/${path}.br" br_size)
    string(APPEND files "FILE_BYTES(br_${i}, \"${DIST}/${path}.br\")\n")
    set(br "{gate_ui_br_${i}, ${br_size}}")
  endif()
  set(immutable false)
  if(hashed)
    set(immutable true)
  endif()
  string(APPEND rows "    {TEXT(\"${path}\"), TEXT(\"${type}\"), {gate_ui_raw_${i}, ${size}}, ${br},\n"
         "     TEXT(\"${sha256}\"), ${immutable}},\n")
  math(EXPR i "${i} + 1")
endwhile()
if(count EQUAL 0)
  set(rows "    {.immutable = false}, /* C knows no empty array */\n")
endif()
# Left as it is where nothing changed, and nothing is linked anew.
file(WRITE "${OUT}.new" "${head}${files}\nconst struct gate_asset gate_assets[] = {\n${rows}};\n"
     "const size_t gate_asset_count = ${count};\n")
file(COPY_FILE "${OUT}.new" "${OUT}" ONLY_IF_DIFFERENT)
file(REMOVE "${OUT}.new")
