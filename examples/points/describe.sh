# Called with --inputs DIR --outputs DIR --params FILE.
echo "describing $2/model"
{
  echo "A linear classifier of points"
  echo "bytes: $(wc -c < "$2/model")"
  echo "sha256: $(sha256sum < "$2/model" | cut -c 1-64)"
} > "$4/card"
